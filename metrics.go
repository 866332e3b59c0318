package fallback

import (
	"strings"
	"time"

	"github.com/redis-fallback/fallback/breaker"
)

// instrument is a metric that is read from a Status. docs/metrics.md is made from what is collected.
type instrument struct {
	name, unit, text string
	of               owner
	counts           bool                  // it only grows
	value            func(*Status) int64   // of all
	seconds          func(*Status) float64 // but those that are a time
}

// owner is the server that a metric is about.
type owner uint8

const (
	ofBoth owner = iota // the service as a whole
	ofPrimary
	ofLocal
)

// durations is a metric that is recorded when something that takes time is over.
type durations struct {
	name, text string
	bounds     []float64 // s
}

var (
	switchDuration = durations{
		"redis.fallback.switch.duration",
		"Time that calls lost in a switch: at a trip from the refusal, or the last failure, that this process met until local serves; at a return while the journal is shut.",
		[]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	}
	drainDuration = durations{
		"redis.fallback.drain.duration",
		"Time that a delivery of the journal to the primary took, failed ones by their error.type.",
		[]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900},
	}
)

// What instruments are called where the primary has the name of another part of theirs, with which they
// would be added up.
const anyPrimary = "primary"

// fullName returns the name with that of the primary in it. Of what OpenTelemetry does not take in a name, _ is
// left.
func (in *instrument) fullName(primary string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '-', r == '/', r == '.':
			return r
		}
		return '_'
	}, primary)
	if l := strings.ToLower(clean); l == "local" || l == "fallback" {
		clean = anyPrimary
	}
	return strings.Replace(in.name, "{primary}", clean[:min(len(clean), longestPart)], 1)
}

// longestPart keeps a name within the 255 characters of OpenTelemetry.
const longestPart = 200

var instruments = []instrument{
	count("redis.{primary}.connect.success", ofPrimary, "{connection}", "Connections made to the primary.",
		func(s *Status) int64 { return s.Primary.Dials }),
	count("redis.{primary}.connect.failure", ofPrimary, "{connection}", "Connections to the primary that could not be made.",
		func(s *Status) int64 { return s.Primary.FailedDials }),
	count("redis.{primary}.command.success", ofPrimary, "{command}", "Commands that the primary has answered.",
		func(s *Status) int64 { return s.Primary.Answered }),
	count("redis.{primary}.command.failure", ofPrimary, "{command}", "Attempts at a command that the primary did not answer: refused, lost, or never sent.",
		func(s *Status) int64 { return s.Primary.FailedCommands }),
	count("redis.{primary}.command.sent", ofPrimary, "{command}", "Attempts at a command on the primary, those of probes, deliveries of the journal and reads for the mirror included: about what it bills. What go-redis repeats by itself is not seen.",
		func(s *Status) int64 {
			return s.Primary.Answered + s.Primary.FailedCommands + s.Probes + s.Journal.DeliveryCost + s.Mirror.HydrationCost
		}),
	count("redis.{primary}.command.lost", ofPrimary, "{command}", "Lost replies of the primary, one for each call: the command may have run.",
		func(s *Status) int64 { return s.Lost }),
	count("redis.{primary}.rate_limit_exceeded", ofPrimary, "{refusal}", "Refusals of the primary for a limit, one for each call.",
		func(s *Status) int64 { return s.Refused }),
	count("redis.{primary}.probes", ofPrimary, "{probe}", "Looks of this process at the primary while local serves.",
		func(s *Status) int64 { return s.Probes }),
	gauge("redis.{primary}.circuit_breaker.open", ofPrimary, "{breaker}", "1 unless the primary's circuit breaker is closed.",
		func(s *Status) int64 { return open(&s.Primary) }),

	count("redis.local.connect.success", ofLocal, "{connection}", "Connections made to local.",
		func(s *Status) int64 { return s.Local.Dials }),
	count("redis.local.connect.failure", ofLocal, "{connection}", "Connections to local that could not be made.",
		func(s *Status) int64 { return s.Local.FailedDials }),
	count("redis.local.command.success", ofLocal, "{command}", "Commands that local has answered in the primary's place.",
		func(s *Status) int64 { return s.Local.Answered }),
	count("redis.local.command.failure", ofLocal, "{command}", "Commands that local did not answer when it was to.",
		func(s *Status) int64 { return s.Local.FailedCommands }),
	gauge("redis.local.circuit_breaker.open", ofLocal, "{breaker}", "1 unless local's circuit breaker is closed.",
		func(s *Status) int64 { return open(&s.Local) }),

	count("redis.fallback.activated", ofBoth, "{trip}", "Switches to local because the primary refused, or was gone.",
		func(s *Status) int64 { return s.Trips }),
	count("redis.fallback.switched", ofBoth, "{switch}", "Switches from one server to the other, those of an operator included.",
		func(s *Status) int64 { return s.Switches }),
	count("redis.fallback.restored", ofBoth, "{return}", "Switches back to a primary that is well again.",
		func(s *Status) int64 { return s.Returns }),
	count("redis.fallback.restore.failure", ofBoth, "{return}", "Returns that failed: the primary did not take the journal, and local went on serving.",
		func(s *Status) int64 { return s.Journal.FailedReturns }),
	count("redis.fallback.withheld", ofBoth, "{command}", "Commands that were kept off local, and got the primary's refusal.",
		func(s *Status) int64 { return s.Withheld }),
	gauge("redis.fallback.serving", ofBoth, "{backend}", "The server that answers: 0 the primary, 1 local.",
		func(s *Status) int64 { return one(s.Serving == Local) }),
	gauge("redis.fallback.pinned", ofBoth, "{pin}", "1 while an operator holds the service on a server.",
		func(s *Status) int64 { return one(s.Pinned) }),
	gauge("redis.fallback.processes", ofBoth, "{process}", "Processes that share local, as far as this one has heard of them.",
		func(s *Status) int64 { return int64(len(s.Processes)) }),

	gauge("redis.fallback.journal.entries", ofBoth, "{entry}", "Entries in the journal, delivered ones that are kept for ten minutes included.",
		func(s *Status) int64 { return s.Journal.Entries }),
	gauge("redis.fallback.journal.bytes", ofBoth, "By", "Size of the journal on local.",
		func(s *Status) int64 { return s.Journal.Bytes }),
	age("redis.fallback.journal.oldest_age", "Age of the oldest write that the primary does not have; 0 where it has all.",
		func(s *Status) float64 {
			if s.Journal.Oldest.IsZero() {
				return 0
			}
			return max(time.Since(s.Journal.Oldest).Seconds(), 0)
		}),
	gauge("redis.fallback.journal.durable", ofBoth, "{level}", "What a local that is killed keeps of what it acknowledged: 2 everything, 1 all but the last second, 0 nothing, or nothing is known, or there is no journal.",
		func(s *Status) int64 {
			switch s.Journal.Durability {
			case "always":
				return 2
			case "second":
				return 1
			}
			return 0
		}),
	gauge("redis.fallback.journal.on", ofBoth, "{journal}", "1 where there is a journal, 0 where what local acknowledges stays there.",
		func(s *Status) int64 { return one(s.Journal.On) }),
	gauge("redis.fallback.journal.names_only", ofBoth, "{journal}", "1 once the journal has passed its first limit, and keeps names of keys.",
		func(s *Status) int64 { return one(s.Journal.NamesOnly) }),
	gauge("redis.fallback.journal.names", ofBoth, "{key}", "Keys of which the journal keeps the name alone.",
		func(s *Status) int64 { return s.Journal.Names }),
	gauge("redis.fallback.journal.full", ofBoth, "{journal}", "1 while writes are refused because the journal is full.",
		func(s *Status) int64 { return one(s.Journal.Full) }),
	count("redis.fallback.journal.written", ofBoth, "{entry}", "Entries that this process has written to the journal.",
		func(s *Status) int64 { return s.Journal.Written }),
	count("redis.fallback.journal.fenced", ofBoth, "{command}", "Writes of this process that met a switch, and went where the service is.",
		func(s *Status) int64 { return s.Journal.Fenced }),
	count("redis.fallback.journal.refused", ofBoth, "{command}", "Writes of this process that found the journal full.",
		func(s *Status) int64 { return s.Journal.Refused }),
	count("redis.fallback.journal.delivered", ofBoth, "{entry}", "Entries that this process has delivered to the primary.",
		func(s *Status) int64 { return s.Journal.Delivered }),
	count("redis.fallback.drain.commands", ofPrimary, "{command}", "Commands that deliveries of this process have sent to the primary.",
		func(s *Status) int64 { return s.Journal.DeliveryCost }),
	gauge("redis.fallback.dead_letters", ofBoth, "{letter}", "Writes that the primary has rejected for good, or that are in doubt, and wait for an operator.",
		func(s *Status) int64 { return s.Journal.Dead }),

	gauge("redis.fallback.mirror.on", ofBoth, "{mirror}", "1 where there is a mirror, 0 where local is not kept warm.",
		func(s *Status) int64 { return one(s.Mirror.On) }),
	age("redis.fallback.mirror.lag", "Age of the oldest write of this process that local does not have yet.",
		func(s *Status) float64 { return s.Mirror.Lag.Seconds() }),
	gauge("redis.fallback.mirror.queued", ofBoth, "{operation}", "Operations that wait to be sent to local.",
		func(s *Status) int64 { return s.Mirror.Queued }),
	gauge("redis.fallback.mirror.queued_bytes", ofBoth, "By", "Size of the operations that wait to be sent to local.",
		func(s *Status) int64 { return s.Mirror.Bytes }),
	count("redis.fallback.mirror.sent", ofBoth, "{operation}", "Operations that were sent to local.",
		func(s *Status) int64 { return s.Mirror.Mirrored }),
	count("redis.fallback.mirror.dropped", ofBoth, "{operation}", "Operations that were not sent to local; their keys are deleted there.",
		func(s *Status) int64 { return s.Mirror.Dropped }),
	count("redis.fallback.mirror.unsure", ofBoth, "{key}", "Keys that were deleted on local because nothing sure was known of them.",
		func(s *Status) int64 { return s.Mirror.Unsure }),
	count("redis.fallback.mirror.hydrated", ofBoth, "{key}", "Keys that were read from the primary since they are in use.",
		func(s *Status) int64 { return s.Mirror.Hydrated }),
	count("redis.fallback.mirror.misses", ofBoth, "{command}", "Reads answered by local for which it had nothing.",
		func(s *Status) int64 { return s.Mirror.Misses }),
	gauge("redis.fallback.mirror.complete", ofBoth, "{mirror}", "1 while local holds all that the primary does: after a sync, with nothing missed since.",
		func(s *Status) int64 { return one(s.Mirror.Complete) }),
	gauge("redis.fallback.mirror.stopped", ofBoth, "{mirror}", "1 while the mirror waits because local's memory is needed for the journal.",
		func(s *Status) int64 { return one(s.Mirror.Stopped) }),
}

func count(name string, of owner, unit, text string, value func(*Status) int64) instrument {
	return instrument{name: name, of: of, unit: unit, text: text, value: value, counts: true}
}

func gauge(name string, of owner, unit, text string, value func(*Status) int64) instrument {
	return instrument{name: name, of: of, unit: unit, text: text, value: value}
}

func age(name, text string, seconds func(*Status) float64) instrument {
	return instrument{name: name, unit: "s", text: text, seconds: seconds}
}

// open also counts the half-open breaker: it does not let all calls through.
func open(b *BackendStatus) int64 { return one(b.Breaker != breaker.Closed.String()) }

func one(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}
