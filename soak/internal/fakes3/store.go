package fakes3

import (
	"strings"
	"sync"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/tidwall/btree"
)

// store has the buckets and their objects. It is safe for concurrent use.
type store struct {
	mu      sync.RWMutex
	buckets map[string]*bucket
	objects int64
	bytes   int64
}

type bucket struct {
	created time.Time
	objects btree.Map[string, record]
}

func newStore() *store { return &store{buckets: map[string]*bucket{}} }

// bucket returns a bucket or S3's error. The caller holds the lock.
func (s *store) bucket(name string) (*bucket, error) {
	b := s.buckets[name]
	if b == nil {
		return nil, gofakes3.BucketNotFound(name)
	}
	return b, nil
}

func (s *store) get(bucket, key string) (*Object, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, err := s.bucket(bucket)
	if err != nil {
		return nil, err
	}
	r, ok := b.objects.Get(key)
	if !ok {
		return nil, gofakes3.KeyNotFound(key)
	}
	return r.object(key), nil
}

// condition decides, from the object that is there (nil: none), whether it may be replaced.
type condition func(old *Object) error

// put stores an object and says whether the key is new.
func (s *store) put(bucket string, o *Object, may condition) (created bool, err error) {
	rec := pack(o)
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(bucket)
	if err != nil {
		return false, err
	}
	old, exists := b.objects.Get(o.Key)
	if may != nil {
		var there *Object
		if exists {
			there = old.object(o.Key)
		}
		if err := may(there); err != nil {
			return false, err
		}
	}
	if exists {
		s.bytes -= old.size()
	} else {
		s.objects++
	}
	s.bytes += o.Size
	b.objects.Set(strings.Clone(o.Key), rec)
	return !exists, nil
}

func (s *store) delete(bucket, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.bucket(bucket)
	if err != nil {
		return err
	}
	s.remove(b, key)
	return nil
}

// remove deletes a key. The caller holds the lock.
func (s *store) remove(b *bucket, key string) bool {
	old, ok := b.objects.Delete(key)
	if ok {
		s.objects--
		s.bytes -= old.size()
	}
	return ok
}

// names returns the buckets' names, in order.
func (s *store) names() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return sortedKeys(s.buckets)
}

// clear removes the objects of a bucket (empty: of all) whose keys start with prefix, and says how many there were.
func (s *store) clear(bucketName, prefix string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if bucketName != "" {
		if _, err := s.bucket(bucketName); err != nil {
			return 0, err
		}
	}
	before := s.objects
	for name, b := range s.buckets {
		if bucketName != "" && name != bucketName {
			continue
		}
		if prefix == "" {
			b.objects.Scan(func(_ string, r record) bool {
				s.objects--
				s.bytes -= r.size()
				return true
			})
			b.objects = btree.Map[string, record]{}
			continue
		}
		var keys []string
		b.objects.Ascend(prefix, func(k string, _ record) bool {
			if !strings.HasPrefix(k, prefix) {
				return false
			}
			keys = append(keys, k)
			return true
		})
		for _, k := range keys {
			s.remove(b, k)
		}
	}
	return before - s.objects, nil
}

// eachBatch is how many objects each reads under one lock.
const eachBatch = 1000

// each calls f with every object of a bucket whose key starts with prefix, in order of keys, without holding the lock
// meanwhile: objects put or deleted while it runs may be missed. It stops at the first error of f.
func (s *store) each(bucketName, prefix string, f func(o *Object) error) error {
	next := prefix
	for {
		batch := make([]*Object, 0, eachBatch)
		s.mu.RLock()
		b, err := s.bucket(bucketName)
		if err == nil {
			b.objects.Ascend(next, func(k string, r record) bool {
				if !strings.HasPrefix(k, prefix) {
					return false
				}
				batch = append(batch, r.object(k))
				return len(batch) < eachBatch
			})
		}
		s.mu.RUnlock()
		if err != nil {
			return err
		}
		for _, o := range batch {
			if err := f(o); err != nil {
				return err
			}
		}
		if len(batch) < eachBatch {
			return nil
		}
		next = batch[len(batch)-1].Key + "\x00"
	}
}

// totals are the number of objects and the sum of their sizes.
func (s *store) totals() (objects, bytes int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.objects, s.bytes
}
