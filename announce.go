package fallback

import "sync"

// queue hands items to a function, in order, one at a time, from a goroutine that lives only while
// there are some. So nobody who makes an item waits for it, and no goroutine stands idle.
type queue[T any] struct {
	do func(T)

	mu      sync.Mutex
	items   []T
	running chan struct{} // closed when the goroutine ends; nil while there is none
}

// maxQueued bounds what waits for a function that blocks; the oldest are dropped then.
const maxQueued = 1024

func (q *queue[T]) put(item T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) >= maxQueued {
		q.items = q.items[1:]
	}
	q.items = append(q.items, item)
	if q.running == nil {
		q.running = make(chan struct{})
		go q.run(q.running)
	}
}

func (q *queue[T]) run(done chan struct{}) {
	defer close(done)
	for {
		q.mu.Lock()
		if len(q.items) == 0 {
			q.running = nil
			q.mu.Unlock()
			return
		}
		item := q.items[0]
		q.items = q.items[1:]
		q.mu.Unlock()
		q.do(item)
	}
}

// idle returns a channel that is closed when all that was put has been handed over.
func (q *queue[T]) idle() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running != nil {
		return q.running
	}
	done := make(chan struct{})
	close(done)
	return done
}
