package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/dop251/goja"
	"github.com/gorilla/mux"
	"github.com/hashicorp/golang-lru/arc/v2"
	"github.com/klauspost/compress/zstd"
	"github.com/maypok86/otter/v2"
	"github.com/patrickmn/go-cache"
	"github.com/tidwall/buntdb"
	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/store/memory"
	lua "github.com/yuin/gopher-lua"
)

// These are bounded.
func init() {
	for name, s := range map[string]scenario{
		"alike-janitors": {20, janitors},
		"alike-buntdb":   {200, buntdbTTL},
		"alike-limiter":  {400, limiterPeriod},
		"alike-otter":    {500, otterSize},
		"alike-lua":      {30, luaStates},
		"alike-goja":     {50, gojaRuntimes},
		"alike-zstd":     {30, zstdShared},
		"alike-arc":      {500, arcCache},
		"alike-mux":      {400, muxVars},
	} {
		scenarios[name] = s
	}
}

// janitors makes caches with a janitor and drops them: a finalizer stops it.
func janitors() func(int) {
	return func(i int) { cache.New(time.Minute, time.Minute).SetDefault(key(i), make([]byte, 4096)) }
}

func buntdbTTL() func(int) {
	db := must(buntdb.Open(":memory:"))
	return func(i int) {
		_ = db.Update(func(tx *buntdb.Tx) error {
			_, _, err := tx.Set(key(i), string(make([]byte, 1024)), &buntdb.SetOptions{Expires: true, TTL: 3 * time.Second})
			return err
		})
	}
}

func limiterPeriod() func(int) {
	store := memory.NewStoreWithOptions(limiter.StoreOptions{Prefix: "x", CleanUpInterval: time.Second})
	l := limiter.New(store, limiter.Rate{Period: 5 * time.Second, Limit: 10})
	return func(i int) { must(l.Get(context.Background(), key(i))) }
}

func otterSize() func(int) {
	c := otter.Must(&otter.Options[string, []byte]{MaximumSize: 4000})
	return func(i int) { c.Set(key(i), make([]byte, 2048)) }
}

// luaStates runs scripts in states of their own that are not closed.
func luaStates() func(int) {
	return func(int) {
		if err := lua.NewState().DoString("t = {} for i = 1, 100 do t[i] = 'item ' .. i end"); err != nil {
			panic(err)
		}
	}
}

func gojaRuntimes() func(int) {
	return func(i int) { must(goja.New().RunString(fmt.Sprintf("[%d].map(x => x + 1)[0]", i))) }
}

// zstdShared is an encoder whose window is made at its first use.
func zstdShared() func(int) {
	e := must(zstd.NewWriter(nil))
	return func(i int) { e.EncodeAll(bytes.Repeat([]byte(key(i)), 4096), nil) }
}

func arcCache() func(int) {
	c := must(arc.NewARC[string, []byte](2000))
	return func(i int) { c.Add(key(i%6000), make([]byte, 2048)) }
}

func muxVars() func(int) {
	r := mux.NewRouter()
	r.HandleFunc("/users/{id}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, mux.Vars(r)["id"]) })
	return func(i int) {
		r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/users/"+key(i), nil))
	}
}
