package wire

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit"
	"github.com/memsoak/memsoak/migrator/internal/queue/redis"
)

// What queues on brokers have in common.
type (
	Broker        = broker.Queue
	BrokerOptions = broker.Options
	BrokerStatus  = broker.Status
	Migration     = broker.Migration
)

// The errors of queues on brokers that callers act upon.
var (
	ErrNoMigration = broker.ErrNone
	ErrLost        = broker.ErrLost
	ErrUnfinished  = broker.ErrUnfinished
)

// DefaultBrokerOptions returns the defaults.
func DefaultBrokerOptions() BrokerOptions { return broker.DefaultOptions() }

// ErrBrokerURL means that a URL isn't one of a broker.
var ErrBrokerURL = errors.New("want the URL of a broker, as in redis://host:6379/0 or amqp://host:5672/vhost")

// OpenBroker opens the queue on the broker that a URL names.
func OpenBroker(ctx context.Context, raw string, o BrokerOptions) (Broker, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("--queue: %w", ErrBrokerURL)
	}
	switch u.Scheme {
	case "redis", "rediss", "unix":
		return redis.Open(ctx, raw, o)
	case "amqp", "amqps":
		return rabbit.Open(ctx, raw, o)
	}
	return nil, fmt.Errorf("--queue %q: %w", broker.Redact(raw), ErrBrokerURL)
}
