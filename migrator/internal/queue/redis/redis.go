// Package redis is a migrator.Queue on Redis Streams (Redis 6.2 or later), for discovery and uploads in many processes.
//
// Folders are in one stream for each depth of the tree and are taken from the deepest, so that their number is bounded
// by depth and listers; files are in a stream of their own, and while it is longer than a limit no folder is handed
// out. So the broker's memory is bounded whatever the size of the tree. Each stream has one consumer group.
//
// A Lua script settles: the item leaves (XACK and XDEL), its products enter and the counters change in one step, and
// only the first settle counts. A process takes files ahead, never more than a share of the waiting ones, and sends the
// ends of those it has copied together a moment later. When it dies with ends unsent, the next process looks for those
// files in the sink and doesn't copy them again. An item of a process that gives no sign of life for a lease is claimed
// by another (XAUTOCLAIM) and marked, so that the sink is asked for it first. The counters of open folders and files
// tell the end.
//
// All keys of a queue begin with its name in braces, which keeps them in one slot of a cluster.
package redis

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
)

// schema is the version of the keys and of their values. Items carry their own version besides.
const schema = "migrator/redis/1"

const (
	group      = "migrator"
	levels     = 16     // streams of folders; what lies deeper shares the last
	maxParked  = 10_000 // lines kept of each outcome; reasons are counted beyond
	maxReasons = 100
)

//go:embed scripts/*.lua
var scripts embed.FS

func script(name string) *goredis.Script {
	b, err := scripts.ReadFile("scripts/" + name + ".lua")
	if err != nil {
		panic(err) // it is in the binary
	}
	return goredis.NewScript(string(b))
}

var (
	beginScript      = script("begin")
	takeScript       = script("take")
	settleScript     = script("settle")
	renewScript      = script("renew")
	leaveScript      = script("leave")
	unlockScript     = script("unlock")
	readScript       = script("read")
	forgetScript     = script("forget")
	checkpointScript = script("checkpoint")
)

// quiet drops what the client would print by itself: every error comes back from a call as well.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func init() { goredis.SetLogger(quiet{}) }

// Queue is a broker.Queue. Safe for concurrent use.
type Queue struct {
	o    broker.Options
	rdb  *goredis.Client
	addr string
	base string // what keys begin with
	me   string // consumer in the groups

	lanes [2]lane               // by kind - 1
	ends  *broker.Outbox[ended] // of leases

	mu    sync.Mutex
	held  broker.Leases[*held]
	locks map[string]struct{}
	begun bool // a migration was there
	ended bool // and it was done

	working sync.Once       // a process that only looks gives no sign of life
	ending  context.Context // until Close
	end     context.CancelFunc
	done    sync.WaitGroup
}

// Open connects to the Redis of a URL as in redis://user:password@host:6379/0, rediss:// or unix://.
func Open(ctx context.Context, url string, o broker.Options) (*Queue, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	ro, err := goredis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("queue %s: %w", broker.Redact(url), err)
	}
	ro.MaxRetries = -1 // here, with more patience
	ro.ContextTimeoutEnabled = true
	ro.PoolSize, ro.ReadBufferSize, ro.WriteBufferSize = 8, 16<<10, 16<<10
	ro.Protocol = 2
	ro.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	host, err := os.Hostname()
	if err != nil {
		host = "host"
	}
	q := &Queue{o: o, rdb: goredis.NewClient(ro), addr: ro.Addr, base: "{" + o.Name + "}",
		me:   fmt.Sprintf("%s-%d-%s", host, os.Getpid(), rand.Text()[:8]),
		held: broker.Leases[*held]{}, locks: map[string]struct{}{}}
	q.ends = broker.NewOutbox(q.settleAll)
	q.ending, q.end = context.WithCancel(context.Background())
	for i := range q.lanes {
		q.lanes[i] = lane{turn: make(chan struct{}, 1)}
	}
	if err := q.hello(ctx); err != nil {
		return nil, errors.Join(err, q.rdb.Close())
	}
	q.done.Go(func() { q.ends.Run(q.ending) })
	return q, nil
}

// greeting is for how long a server that is there, but restarts or loses connections, is asked again at the beginning.
const greeting = 5 * time.Second

// hello looks at the server. One that isn't there is no matter for patience: the address may be wrong.
func (q *Queue) hello(ctx context.Context) error {
	var info string
	err := q.trying(ctx, min(greeting, q.o.Patience), func(err error) bool { return passing(err) && !unreached(err) },
		func() (err error) {
			info, err = q.rdb.Info(ctx, "memory").Result()
			return err
		})
	if err != nil {
		return err
	}
	for line := range strings.Lines(info) {
		if policy, ok := strings.CutPrefix(strings.TrimSpace(line), "maxmemory_policy:allkeys"); ok {
			return fmt.Errorf("redis at %s drops keys when its memory is full (maxmemory-policy allkeys%s), which would lose "+
				"work: set it to noeviction", q.addr, policy)
		}
	}
	_, err = q.Migration(ctx)
	if errors.Is(err, broker.ErrNone) || errors.Is(err, broker.ErrLost) {
		return nil // a migration that is lost can still be begun again
	}
	return err
}

func (q *Queue) key(suffix string) string { return q.base + ":" + suffix }

func (q *Queue) run(ctx context.Context, s *goredis.Script, key string, args ...any) (reply any, err error) {
	err = q.patiently(ctx, func() (err error) {
		reply, err = s.Run(ctx, q.rdb, []string{q.key(key)}, args...).Result()
		return err
	})
	return reply, err
}

// Begin implements broker.Queue.
func (q *Queue) Begin(ctx context.Context, m broker.Migration, root migrator.Item, restart bool) (broker.Migration,
	error) {
	b, err := json.Marshal(m)
	if err != nil {
		return m, err
	}
	payload, err := root.AppendBinary(nil)
	if err != nil {
		return m, err
	}
	again := "0"
	if restart {
		again = "1"
	}
	r, err := q.run(ctx, beginScript, "meta", q.base, group, schema, b, again, stream(&root), payload, levels)
	if err != nil {
		return m, err
	}
	have, ok := r.([]any)
	if !ok || len(have) != 2 {
		return m, fmt.Errorf("queue %s: unexpected reply to begin: %v", q.o.Name, r)
	}
	return q.decode(have[0], have[1])
}

// decode reads the description of a migration and refuses those of another schema.
func (q *Queue) decode(have, description any) (m broker.Migration, err error) {
	text, ok := description.(string)
	if have != schema || !ok {
		return m, fmt.Errorf("queue %s on Redis at %s: schema %v, not %s: %w", q.o.Name, q.addr, have, schema,
			broker.ErrSchema)
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return m, fmt.Errorf("queue %s on Redis at %s: %w: %w", q.o.Name, q.addr, broker.ErrSchema, err)
	}
	q.mu.Lock()
	q.begun, q.ended = true, false
	q.mu.Unlock()
	return m, nil
}

// Migration implements broker.Queue.
func (q *Queue) Migration(ctx context.Context) (broker.Migration, error) {
	st, err := q.Status(ctx)
	return st.Migration, err
}

// Status implements broker.Queue. It reads in one step, so that a migration that others begin, finish or remove at the
// same time is seen whole or not at all.
func (q *Queue) Status(ctx context.Context) (st broker.Status, err error) {
	if err := q.ends.Flush(ctx); err != nil {
		return st, err
	}
	r, err := q.run(ctx, readScript, "meta", q.base, q.o.Lease.Milliseconds(), group, levels)
	if err != nil {
		return st, err
	}
	reply, ok := r.([]any)
	if !ok || len(reply) != 6 {
		return st, fmt.Errorf("queue %s: unexpected reply to read: %v", q.o.Name, r)
	}
	there, _ := reply[0].(int64)
	meta := pairs(reply[1])
	switch _, begun := meta["schema"]; {
	case begun:
		st.Migration, err = q.decode(meta["schema"], meta["migration"])
	case there > 0:
		st.Migration, err = q.decode("of somebody else", nil)
	case there < 0:
		err = fmt.Errorf("queue %s on Redis at %s: its description is gone: %w", q.o.Name, q.addr, broker.ErrLost)
	default:
		none := broker.ErrNone
		if q.unfinished() { // else this process would wait for another to begin it
			none = broker.ErrLost
		}
		err = fmt.Errorf("queue %s on Redis at %s: %w", q.o.Name, q.addr, none)
	}
	if err != nil {
		return broker.Status{}, err
	}
	st.Folders, st.Files = number(meta["open_folders"]), number(meta["open_files"])
	q.mu.Lock()
	q.ended = st.Done()
	q.mu.Unlock()
	for _, c := range counters(&st.Totals) {
		*c.n = number(meta[c.name])
	}
	st.Reasons = map[string]int64{}
	for r, n := range pairs(reply[2]) {
		st.Reasons[r] = number(n)
	}
	st.Workers, _ = reply[3].(int64)
	pages, _ := reply[4].(int64)
	files, _ := reply[5].(int64)
	if pages+files > 0 {
		return st, fmt.Errorf("queue %s on Redis at %s: %d open files and %d open folders are nowhere (XTRIM, XDEL, "+
			"DEL?): %w",
			q.o.Name, q.addr, files, pages, broker.ErrLost)
	}
	return st, nil
}

// unfinished says that a migration was there when this process last looked, and wasn't done.
func (q *Queue) unfinished() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.begun && !q.ended
}

// pairs makes a map of a hash in a script's reply.
func pairs(reply any) map[string]string {
	m := map[string]string{}
	flat, _ := reply.([]any)
	for i := 0; i+1 < len(flat); i += 2 {
		k, _ := flat[i].(string)
		m[k], _ = flat[i+1].(string)
	}
	return m
}

// Forget implements broker.Queue.
func (q *Queue) Forget(ctx context.Context, unfinished bool) error {
	also := "0"
	if unfinished {
		also = "1"
	}
	r, err := q.run(ctx, forgetScript, "meta", q.base, levels, also)
	switch {
	case err != nil:
		return err
	case r == "none":
		err = broker.ErrNone
	case r == "unfinished":
		err = broker.ErrUnfinished
	default:
		return nil
	}
	return fmt.Errorf("queue %s on Redis at %s: %w", q.o.Name, q.addr, err)
}

// number reads a counter that HINCRBY wrote; one that isn't there is 0.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// counter is a field of the meta key that holds a total.
type counter struct {
	name string
	n    *int64
}

func counters(t *migrator.Totals) [10]counter {
	return [...]counter{{"folders", &t.Folders}, {"files", &t.Files}, {"size", &t.Size}, {"listed", &t.Listed},
		{"copied", &t.Copied},
		{"skipped", &t.Skipped}, {"filtered", &t.Filtered}, {"unavailable", &t.Unavailable}, {"failed", &t.Failed},
		{"bytes", &t.Bytes}}
}

// Totals implements migrator.Counter.
func (q *Queue) Totals(ctx context.Context) (migrator.Totals, error) {
	st, err := q.Status(ctx)
	return st.Totals, err
}

// Parked implements broker.Queue. At most 10,000 lines are kept of each outcome; Status counts all of them by reason.
func (q *Queue) Parked(ctx context.Context, o migrator.Outcome, most int64) (out []migrator.Parked, err error) {
	if err := q.ends.Flush(ctx); err != nil {
		return nil, err
	}
	var lines []string
	err = q.patiently(ctx, func() (err error) {
		lines, err = q.rdb.LRange(ctx, q.key("parked:"+o.String()), 0, most-1).Result()
		return err
	})
	for _, line := range lines {
		p := migrator.Parked{Outcome: o}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			return out, fmt.Errorf("queue %s: parked: %w", q.o.Name, err)
		}
		out = append(out, p)
	}
	return out, err
}

// Close sends the settled items, returns those taken ahead, and leaves. Leases not settled are taken over by
// others after a while.
func (q *Queue) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	worked := true
	q.working.Do(func() { worked = false })
	q.end()
	q.done.Wait()
	var err error
	if worked {
		err = q.leave(ctx)
	}
	return errors.Join(err, q.rdb.Close())
}

// leave tells Redis what this process has done and that it ends.
func (q *Queue) leave(ctx context.Context) error {
	if err := q.ends.Close(ctx); err != nil {
		return err
	}
	for i := range q.lanes {
		if err := q.empty(ctx, &q.lanes[i]); err != nil {
			return err
		}
	}
	_, err := q.run(ctx, leaveScript, "workers", q.base, group, q.me, levels)
	return err
}

// empty gives back what a lane has taken ahead.
func (q *Queue) empty(ctx context.Context, l *lane) error {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	err := q.giveBack(ctx, l.ahead...)
	l.ahead = nil
	return err
}
