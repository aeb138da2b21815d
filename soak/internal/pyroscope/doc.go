// Package pyroscope sends the recorded profiles of a run to a Pyroscope server (2.x), where each trial, each of its
// phases and each floor is a service with one profile of a kind; and fetches profiles that others stored there.
//
// What the server is known to do, and what this package does about it:
//
//	PY001 Its own UI filters by service name alone, so the name carries all axes, the run and the trial: [Service].
//	PY002 A flame graph sums every profile in its range, so a service holds one profile of each kind.
//	PY003 Cumulative types are stored as sent, so alloc_* go as the difference to the profile sent before.
//	PY004 The profile's own time decides, and times older than an hour or ten minutes ahead are refused.
//	PY005 The same profile sent twice counts double, so a journal in the run's directory records each sent one; where
//	      an answer was lost, the server is asked before anything is sent again.
//	PY006 Bursts are answered by 429 and stored later: retried, with the wait the server names.
//	PY007 A name of a label has no "-", a name in /ingest keeps quotes: values are cleaned instead of quoted.
//	PY008 A profile has at most 16,000 samples and a series at most 30 labels.
//	PY009 /ingest takes a multipart field "profile" only without a format parameter.
//	PY010 An answer comes when a profile is written, half a second later, so several are sent at a time.
//	PY011 A sample without frames is dropped, so one that has none gets a frame that says so.
//	PY012 A query spans at most a day, so what the server has of a longer time is asked for in parts.
//	PY013 A flame graph shows all that was allocated, for a soaked process mostly by its pprof handler, which memsoak
//	      reads: heap profiles go without the taking of profiles.
//	PY014 There is no list of profiles: totals in steps of a second say when there are some, each with the end of its
//	      step, and all profiles stored within a step are fetched as one, without addresses, of one sample type.
//	PY015 All that fits a selector is added up, so a selector that several series fit is refused.
//	PY016 For a minute a server remembers which profile is its oldest, and finds none that is older, nor any in a store
//	      that was empty. So an absence counts once it finds its own oldest.
package pyroscope
