package mirror

import "context"

type Timing struct{}

type Mirror struct{ cfg Config }

func New(c Config) *Mirror                        { return &Mirror{cfg: c} }
func (m *Mirror) Start()                          {}
func (m *Mirror) Close(ctx context.Context) error { return nil }
func (m *Mirror) Stats() Stats                    { return Stats{} }
