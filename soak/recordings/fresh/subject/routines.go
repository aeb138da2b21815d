package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/DataDog/datadog-go/v5/statsd"
	"github.com/getsentry/sentry-go"
	"github.com/go-resty/resty/v2"
	influx "github.com/influxdata/influxdb-client-go/v2"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"gopkg.in/natefinch/lumberjack.v2"
	"k8s.io/client-go/util/workqueue"
)

// These leave a goroutine or a connection behind for each unit of work.
func init() {
	for name, start := range map[string]func() func(int){
		"lumberjack":     tenantLogs,    // natefinch/lumberjack issues 56 and 205
		"sentry-clients": sentryClients, // getsentry/sentry-go issue 731
		"datadog-statsd": datadogClients,
		"zap-buffered":   zapBuffered,
		"grpc-client":    grpcClients,
		"workqueue":      workqueues,
		"influxdb-write": influxWriters,
		"resty-new":      restyClients, // go-resty/resty issue 482
	} {
		scenarios[name] = scenario{5, start}
	}
}

// tenantLogs writes a log per tenant and closes it.
func tenantLogs() func(int) {
	dir := must(os.MkdirTemp("", "tenants-"))
	return func(i int) {
		l := &lumberjack.Logger{Filename: filepath.Join(dir, key(i%50)), MaxBackups: 3}
		_, _ = l.Write([]byte("opened\n"))
		_ = l.Close()
	}
}

func sentryClients() func(int) {
	return func(int) { must(sentry.NewClient(sentry.ClientOptions{Dsn: "http://key@127.0.0.1:9/1"})) }
}

func datadogClients() func(int) {
	return func(int) { _ = must(statsd.New("127.0.0.1:9")).Incr("opened", nil, 1) }
}

func zapBuffered() func(int) {
	return func(int) {
		w := &zapcore.BufferedWriteSyncer{WS: zapcore.AddSync(io.Discard), Size: 4096}
		_, _ = w.Write([]byte("opened\n"))
	}
}

// grpcClients makes a client per request to a service that is down.
func grpcClients() func(int) {
	return func(int) {
		must(grpc.NewClient("127.0.0.1:9", grpc.WithTransportCredentials(insecure.NewCredentials()))).Connect()
	}
}

func workqueues() func(int) {
	return func(int) {
		workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]()).Add("item")
	}
}

func influxWriters() func(int) {
	return func(int) { influx.NewClient("http://127.0.0.1:9", "token").WriteAPI("org", "bucket") }
}

// restyClients makes a client per request, each with connections of its own.
func restyClients() func(int) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok"))
	}))
	return func(int) {
		if _, err := resty.New().R().Get(srv.URL); err != nil {
			log.Fatal(err)
		}
	}
}
