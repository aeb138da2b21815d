package pyroscope

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// JournalFile is the record of sent profiles, in the run's directory: one entry a line, appended.
const JournalFile = "pyroscope.jsonl"

// Entry is a line of the journal.
type Entry struct {
	Time time.Time `json:"time"`
	URL  string    `json:"url"` // of the server
	Shown
	Key   string `json:"key"` // of the profile; empty for an entry that only names the server
	State State  `json:"state"`
}

// Shown are the addresses at which people open the profiles, for the links of a report.
type Shown struct {
	Server  string `json:"shown,omitempty"`   // of the server, where it isn't the one that is pushed to
	Grafana string `json:"grafana,omitempty"` // of the Grafana that shows it, when known
}

// State is how far a profile is.
type State string

// The states of an entry. A profile that is sending and not stored was interrupted: whether the server has it is not
// known until it is asked.
const (
	Sending State = "sending"
	Stored  State = "stored"
	Refused State = "refused" // by an answer that says so: it may be sent again
	Target  State = "target"  // names the server and Grafana
)

// ReadJournal reads the journal of a run. There is none before the first push: that is no error.
func ReadJournal(run string) ([]Entry, error) {
	f, err := os.Open(filepath.Join(run, JournalFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []Entry
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		var e Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			// Only a kill in the middle of a line can have torn it, and it can only be the last of its process: the
			// profile before it was not being sent yet, so nothing is lost.
			continue
		}
		out = append(out, e)
	}
	return out, lines.Err()
}

// journal appends to the record and knows the state of each profile at one server. It is safe for concurrent use.
type journal struct {
	mu      sync.Mutex
	url     string
	file    *os.File
	state   map[string]State
	written int // entries

	onDisk sync.Mutex
	synced int // entries that are on the disk; guarded by onDisk
}

// openJournal opens a run's journal for a server and locks it: two pushes of one run at a time would double profiles.
func openJournal(run, url string, shown Shown) (*journal, error) {
	f, err := os.OpenFile(filepath.Join(run, JournalFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s is in use by another push: %w", JournalFile, err)
	}
	old, err := ReadJournal(run)
	if err != nil {
		f.Close()
		return nil, err
	}
	j := &journal{url: url, file: f, state: map[string]State{}}
	named := false
	for _, e := range old {
		if e.URL != url {
			continue
		}
		if e.State == Target {
			named = e.Shown == shown
			continue
		}
		j.state[e.Key] = e.State
	}
	// A torn last line must not swallow the next one.
	if st, err := f.Stat(); err == nil && st.Size() > 0 {
		if _, err := f.WriteString("\n"); err != nil {
			f.Close()
			return nil, err
		}
	}
	if !named {
		if err := j.append(Entry{Shown: shown, State: Target}); err != nil {
			f.Close()
			return nil, err
		}
	}
	return j, nil
}

func (j *journal) of(key string) State {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state[key]
}

func (j *journal) set(key string, s State) error {
	if err := j.append(Entry{Key: key, State: s}); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.state[key] = s
	return nil
}

func (j *journal) append(e Entry) error {
	e.Time, e.URL = time.Now().UTC(), j.url
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	n, err := j.write(append(b, '\n'))
	if err != nil || e.State != Sending {
		return err // losing the others costs a question to the server, losing this one could double a profile
	}
	return j.sync(n)
}

// write appends a line and returns the number of lines so far.
func (j *journal) write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.file.Write(line); err != nil {
		return 0, err
	}
	j.written++
	return j.written, nil
}

// sync returns when the first n lines are on the disk. Callers that wait for another's turn find theirs there.
func (j *journal) sync(n int) error {
	j.onDisk.Lock()
	defer j.onDisk.Unlock()
	if j.synced >= n {
		return nil
	}
	j.mu.Lock()
	now := j.written
	j.mu.Unlock()
	if err := j.file.Sync(); err != nil {
		return err
	}
	j.synced = now
	return nil
}

func (j *journal) close() error { return j.file.Close() }
