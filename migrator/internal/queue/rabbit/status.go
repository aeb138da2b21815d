package rabbit

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/ledger"
)

// Status implements broker.Queue.
func (q *Queue) Status(ctx context.Context) (st broker.Status, err error) {
	r, err := q.askNow(ctx)
	if err != nil {
		return st, err
	}
	if st.Migration, err = q.decode(&r); err != nil {
		return st, err
	}
	st.Totals, st.Folders, st.Files, st.Reasons = r.Totals, r.Folders, r.Files, r.Reasons
	if st.Reasons == nil {
		st.Reasons = map[string]int64{}
	}
	err = q.patiently(ctx, func(s *session) error {
		defer s.Limit()()
		ch, err := s.Broker.Channel()
		if err != nil {
			return s.Or(err)
		}
		defer ch.Close()
		st.Workers = 0
		for _, name := range []string{ledger.QueueFiles, ledger.Folders(0)} {
			got, err := ch.QueueDeclarePassive(q.name(name), true, false, false, false, nil)
			if err != nil {
				return s.Or(err)
			}
			st.Workers += int64(got.Consumers)
		}
		return nil
	})
	return st, err
}

// Totals implements migrator.Counter.
func (q *Queue) Totals(ctx context.Context) (migrator.Totals, error) {
	r, err := q.askNow(ctx)
	return r.Totals, err
}

// Parked implements broker.Queue. At most 10,000 lines are kept of each outcome; Status counts all of them by reason.
func (q *Queue) Parked(ctx context.Context, o migrator.Outcome, most int64) (out []migrator.Parked, err error) {
	if err := q.ends.Flush(ctx); err != nil {
		return nil, err
	}
	err = q.patiently(ctx, func(s *session) error {
		out = nil
		defer s.Limit()()
		ch, err := s.Broker.Channel() // when it closes, the messages read are back in their queue
		if err != nil {
			return s.Or(err)
		}
		defer ch.Close()
		seen := map[string]bool{} // a keeper that died may have parked a line twice
		for int64(len(out)) < most {
			d, ok, err := ch.Get(q.name(ledger.QueueParked+"."+o.String()), false)
			if err != nil {
				return s.Or(err)
			}
			if !ok {
				return nil
			}
			var p ledger.Parked
			if err := json.Unmarshal(d.Body, &p); err != nil {
				return fmt.Errorf("parked: %w: %w", broker.ErrSchema, err)
			}
			p.Parked.Outcome = o
			if !seen[string(d.Body)] {
				seen[string(d.Body)] = true
				out = append(out, p.Parked)
			}
		}
		return nil
	})
	return out, err
}
