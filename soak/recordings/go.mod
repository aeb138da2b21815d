module example.com/recordings

go 1.26.0

require (
	github.com/HdrHistogram/hdrhistogram-go v1.1.2
	github.com/RoaringBitmap/roaring v1.9.4
	github.com/VictoriaMetrics/fastcache v1.12.2
	github.com/VictoriaMetrics/metrics v1.35.1
	github.com/alitto/pond v1.9.2
	github.com/allegro/bigcache/v3 v3.1.0
	github.com/armon/go-metrics v0.4.1
	github.com/asaskevich/EventBus v0.0.0-20200907212545-49d423059eef
	github.com/bluele/gcache v0.0.2
	github.com/caio/go-tdigest/v4 v4.0.1
	github.com/cenkalti/backoff/v4 v4.3.0
	github.com/coocood/freecache v1.2.4
	github.com/deckarep/golang-set v1.7.1
	github.com/dgraph-io/ristretto v0.1.1
	github.com/eapache/channels v1.1.0
	github.com/gammazero/workerpool v1.1.3
	github.com/go-co-op/gocron/v2 v2.16.4
	github.com/go-kit/kit v0.13.0
	github.com/golang/groupcache v0.0.0-20241129210726-2c02b8208cf8
	github.com/google/gopacket v1.1.19
	github.com/gorilla/context v1.1.1
	github.com/gorilla/sessions v1.2.0
	github.com/graph-gophers/dataloader/v7 v7.1.0
	github.com/hashicorp/go-memdb v1.3.4
	github.com/hashicorp/golang-lru/v2 v2.0.7
	github.com/jellydator/ttlcache/v3 v3.2.0
	github.com/karlseguin/ccache/v3 v3.0.5
	github.com/muesli/cache2go v0.0.0-20221011235721-518229cd8021
	github.com/openai/openai-go/v2 v2.3.0
	github.com/orcaman/concurrent-map v1.0.0
	github.com/panjf2000/ants/v2 v2.9.1
	github.com/patrickmn/go-cache v2.1.0+incompatible
	github.com/prometheus/client_golang v1.11.1
	github.com/rcrowley/go-metrics v0.0.0-20250401214520-65e299d6c5c9
	github.com/robfig/cron/v3 v3.0.1
	github.com/sirupsen/logrus v1.9.3
	github.com/sony/gobreaker v0.5.0
	github.com/valyala/bytebufferpool v1.0.0
	go.opencensus.io v0.24.0
	golang.org/x/net v0.62.0
)

require (
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/bits-and-blooms/bitset v1.12.0 // indirect
	github.com/cespare/xxhash/v2 v2.2.0 // indirect
	github.com/dustin/go-humanize v1.0.0 // indirect
	github.com/eapache/queue v1.1.0 // indirect
	github.com/gammazero/deque v0.2.0 // indirect
	github.com/go-kit/log v0.2.0 // indirect
	github.com/go-logfmt/logfmt v0.5.1 // indirect
	github.com/golang/glog v0.0.0-20160126235308-23def4e6c14b // indirect
	github.com/golang/protobuf v1.5.4 // indirect
	github.com/golang/snappy v0.0.4 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/gorilla/securecookie v1.1.1 // indirect
	github.com/hashicorp/go-immutable-radix v1.3.1 // indirect
	github.com/hashicorp/golang-lru v0.5.4 // indirect
	github.com/jonboulle/clockwork v0.5.0 // indirect
	github.com/matttproud/golang_protobuf_extensions v1.0.1 // indirect
	github.com/mschoch/smat v0.2.0 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/prometheus/client_model v0.2.0 // indirect
	github.com/prometheus/common v0.30.0 // indirect
	github.com/prometheus/procfs v0.7.3 // indirect
	github.com/tidwall/gjson v1.14.4 // indirect
	github.com/tidwall/match v1.1.1 // indirect
	github.com/tidwall/pretty v1.2.1 // indirect
	github.com/tidwall/sjson v1.2.5 // indirect
	github.com/valyala/fastrand v1.1.0 // indirect
	github.com/valyala/histogram v1.2.0 // indirect
	golang.org/x/sync v0.3.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	google.golang.org/protobuf v1.33.0 // indirect
)
