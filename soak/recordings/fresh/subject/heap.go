package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"time"

	"github.com/didip/tollbooth/v7"
	"github.com/dop251/goja"
	"github.com/hashicorp/go-multierror"
	"github.com/hashicorp/raft"
	"github.com/uber-go/tally/v4"
	"k8s.io/client-go/util/workqueue"
)

// These keep memory for each unit of work.
func init() {
	for name, s := range map[string]scenario{
		"tollbooth":          {400, tollboothKeys}, // didip/tollbooth issues 30 and 32
		"tally":              {200, tallyTags},     // uber-go/tally issue 21
		"workqueue-failures": {800, failures},      // an item is kept until Forget
		"sql-statements":     {400, sqlStatements}, // golang/go: statements that are not closed
		"signal-notify":      {400, signalNotify},  // golang/go: Notify without Stop
		"multierror":         {400, multiErrors},
		"struct-types":       {60, structTypes}, // golang/go: types that are made are never collected
		"goja-globals":       {300, gojaGlobals},
		"raft-log":           {200, raftLog}, // a store for tests that is never compacted
	} {
		scenarios[name] = s
	}
}

func tollboothKeys() func(int) {
	l := tollbooth.NewLimiter(1, nil)
	return func(i int) { _ = tollbooth.LimitByKeys(l, []string{"10.0.0.1", key(i)}) }
}

func tallyTags() func(int) {
	root, _ := tally.NewRootScope(tally.ScopeOptions{Prefix: "shop"}, 0)
	return func(i int) { root.Tagged(map[string]string{"user": key(i)}).Counter("requests").Inc(1) }
}

func failures() func(int) {
	l := workqueue.NewTypedItemExponentialFailureRateLimiter[string](time.Millisecond, time.Second)
	return func(i int) { l.When("namespace/" + key(i)) }
}

// statements is a driver that does nothing.
type statements struct{}

func (statements) Connect(context.Context) (driver.Conn, error) { return statements{}, nil }
func (statements) Driver() driver.Driver                        { return nil }
func (statements) Prepare(string) (driver.Stmt, error)          { return statements{}, nil }
func (statements) Begin() (driver.Tx, error)                    { return nil, errors.New("no transactions") }
func (statements) Close() error                                 { return nil }
func (statements) NumInput() int                                { return -1 }
func (statements) Exec([]driver.Value) (driver.Result, error)   { return driver.RowsAffected(1), nil }
func (statements) Query([]driver.Value) (driver.Rows, error)    { return nil, errors.New("no rows") }

func sqlStatements() func(int) {
	db := sql.OpenDB(statements{})
	return func(i int) {
		s := must(db.Prepare(fmt.Sprintf("update carts set total = total + %d where id = ?", i)))
		must(s.Exec(i))
	}
}

func signalNotify() func(int) {
	return func(int) { signal.Notify(make(chan os.Signal, 1), os.Interrupt) }
}

// multiErrors is a supervisor that remembers all that went wrong.
func multiErrors() func(int) {
	var all *multierror.Error
	return func(i int) { all = multierror.Append(all, fmt.Errorf("job %s: %w", key(i), context.DeadlineExceeded)) }
}

// structTypes makes a type for each document, as decoders of schemas do.
func structTypes() func(int) {
	return func(i int) {
		fields := make([]reflect.StructField, 6)
		for k := range fields {
			fields[k] = reflect.StructField{Name: fmt.Sprintf("F%dOf%d", k, i), Type: reflect.TypeFor[string]()}
		}
		reflect.New(reflect.StructOf(fields))
	}
}

// gojaGlobals runs scripts in one runtime that leave a global behind.
func gojaGlobals() func(int) {
	vm := goja.New()
	return func(i int) { must(vm.RunString(fmt.Sprintf("var session%d = {user: %d, items: [1,2,3]}", i, i))) }
}

func raftLog() func(int) {
	store := raft.NewInmemStore()
	return func(i int) {
		_ = store.StoreLog(&raft.Log{Index: uint64(i + 1), Term: 1, Data: make([]byte, 500)})
	}
}
