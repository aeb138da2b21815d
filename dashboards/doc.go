// Package dashboards holds no code: it is the folder of what shows a soak from outside, and the tests that keep it
// true.
//
//	grafana/     provisioned data sources and four dashboards: all cells of a soak, one cell, the migrator, the fakes
//	prometheus/  scrape configuration, recording and alerting rules, and their promtool tests
//	pyroscope/   configuration of the server
//	Dockerfile   the image of the project's own services in docker-compose.yml
//
// Every query of every dashboard and rule is evaluated by a test against a real Prometheus that scrapes a real soak.
package dashboards
