// Package k8s has the Kubernetes manifests of a migration that is spread over pods: a Redis or a RabbitMQ for the
// queue, a Job that lists, a Deployment that copies. The files are meant to be copied and changed; the package's test
// checks them against the API's types and against the migrator's own flags.
package k8s
