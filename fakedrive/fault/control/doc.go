// Package control is the fake's side of package fault: it counts requests, transfers and connections, keeps transfers
// at holds, strikes as the plan decides, and serves the admin protocol. It decides nothing and serves no file: that is
// for the plan and for the fake.
package control
