package parley

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/parley-dev/parley/packages/go/contract"
)

type phase int

const (
	phaseServing phase = iota
	phaseDraining
	phaseStopping
	phaseStopped
)

// worker is one process of an agent: it holds the link, and runs what comes over it. One lock guards everything in it
// and in its parts; bodies and handlers run outside of it.
type worker struct {
	agent      *Agent
	settings   *settings
	log        *slog.Logger
	instanceID string
	registered chan struct{}

	mu         sync.Mutex
	link       *link
	outbox     *outbox
	requests   *requests
	results    *results
	executions *executions
	handlers   *handlers
	phase      phase
	linkID     string
	// agentID is made by the control plane: another one has another.
	agentID  string
	deadline *time.Timer
	once     sync.Once
}

func newWorker(a *Agent, s *settings) *worker {
	w := &worker{
		agent: a, settings: s, log: s.log.With("agent", a.name),
		instanceID: contract.NewID("agent"), registered: make(chan struct{}),
	}
	w.link = newLink(w)
	w.outbox = &outbox{link: w.link, framesMax: s.limits.OutboxFrames, bytesMax: s.limits.OutboxBytes}
	w.requests = &requests{worker: w, outbox: w.outbox, max: s.limits.Requests, pending: map[string]*pendingRequest{}}
	w.results = &results{link: w.link, bytesMax: s.limits.ResultBytes, kept: map[string]*keptResult{}}
	w.executions = &executions{
		worker: w, results: w.results, open: map[string]*Execution{}, bodies: map[string]int{}, settled: newRecent(settledMax),
	}
	w.handlers = &handlers{worker: w, open: map[string]*openSession{}}
	return w
}

// run returns when the agent has stopped; the error is that of a refusal.
func (w *worker) run() error {
	err := w.link.run()
	end := stopped()
	if err != nil {
		end = contract.ErrorOf(err, "unknown")
		w.log.Error("the control plane refused this agent", "code", end.Code, "message", end.Message)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deadline != nil {
		w.deadline.Stop()
	}
	w.phase = phaseStopped
	w.linkID = ""
	w.requests.fail(end)
	w.handlers.endAll(end)
	w.executions.cancelAll(end)
	return err
}

func (w *worker) status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := map[phase]string{
		phaseServing: "serving", phaseDraining: "draining", phaseStopping: "draining", phaseStopped: "stopped",
	}[w.phase]
	if w.phase == phaseServing && w.link.current == nil {
		name = "connecting"
	}
	return Status{
		Phase: name, LinkID: w.linkID, Executions: len(w.executions.open), Unconfirmed: len(w.results.kept),
		Sessions: w.handlers.running(),
	}
}

// drain takes no new work, finishes the old, and stops; after the drain time it stops anyway.
func (w *worker) drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.phase != phaseServing {
		return
	}
	w.phase = phaseDraining
	w.log.Info("draining", "executions", len(w.executions.open), "sessions", w.handlers.running())
	if w.link.current != nil {
		w.say(contract.AgentDrainFrame{Type: "agent.drain"}, nil)
	}
	w.deadline = time.AfterFunc(w.settings.times.Drain, w.stop)
	w.reconcile()
}

// stop cancels what runs, says how it ended, and stops. A second call does not wait.
func (w *worker) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch w.phase {
	case phaseStopping:
		w.link.stop()
		return
	case phaseStopped:
		return
	}
	w.phase = phaseStopping
	if w.deadline != nil {
		w.deadline.Stop()
	}
	w.deadline = time.AfterFunc(w.settings.times.Stop, w.link.stop)
	reason := contract.NewError("unavailable", "the agent is stopping")
	w.executions.cancelAll(reason)
	w.handlers.endAll(reason)
	w.reconcile()
}

// hello is the first frame of a connection.
func (w *worker) hello() []byte {
	limits := w.settings.limits
	frame := contract.AgentRegisterFrame{
		Type: "agent.register", Agent: w.agent.name, InstanceID: w.instanceID,
		SDK:      contract.AgentRegisterFrameSDK{Language: "go", Version: Version},
		Sessions: []contract.SessionDeclaration{}, Functions: []contract.FunctionDeclaration{},
		Capacity: &contract.AgentRegisterFrameCapacity{
			Executions: new(contract.Int(limits.Executions)), Sessions: new(contract.Int(limits.Sessions)),
		},
		InFlight: w.executions.inFlight(), SessionsOpen: w.handlers.list(),
	}
	for _, name := range w.agent.sessions.order {
		frame.Sessions = append(frame.Sessions, w.agent.sessions.byName[name].declaration)
	}
	for _, name := range w.agent.functions.order {
		frame.Functions = append(frame.Functions, w.agent.functions.byName[name].declaration)
	}
	return frameText(frame)
}

func (w *worker) heartbeat() []byte {
	w.results.repeatAll(w.settings.times.Repeat)
	return frameText(contract.AgentHeartbeatFrame{Type: "agent.heartbeat", Load: contract.AgentHeartbeatFrameLoad{
		Executions: contract.Int(len(w.executions.open)), Sessions: contract.Int(w.handlers.running()),
	}})
}

// up sees a connection that was welcomed and is current now.
func (w *worker) up(over *connection, welcome contract.AgentRegisteredFrame) {
	w.linkID = welcome.LinkID
	w.log.Info("registered", "link_id", welcome.LinkID)
	if w.phase != phaseServing {
		w.say(contract.AgentDrainFrame{Type: "agent.drain"}, over)
	}
	wanted := map[string]bool{}
	for _, id := range welcome.Wanted {
		wanted[id] = true
	}
	w.executions.resumed(wanted)
	if w.agentID != "" && w.agentID != welcome.AgentID {
		w.requests.forget()
	}
	w.agentID = welcome.AgentID
	// Its answer comes after everything that the server kept for us.
	over.send(w.heartbeat())
	w.outbox.flush()
	w.once.Do(func() { close(w.registered) })
	w.reconcile()
}

// frameType is the type of a frame that is as it should be; empty for one that came after this code was written or
// that is wrong, which is logged.
func (w *worker) frameType(text []byte) string {
	value, err := contract.Decode(text)
	if err != nil {
		w.log.Warn("a frame was skipped", "problem", "it is no JSON")
		return ""
	}
	if problem := contract.Check("ServerFrame", value); problem != nil {
		w.log.Warn("a frame was skipped", "problem", problem.Message)
		return ""
	}
	return value.(map[string]any)["type"].(string)
}

// frame handles a frame of a connection that is up.
func (w *worker) frame(over *connection, text []byte) {
	kind := w.frameType(text)
	var err error
	w.mu.Lock()
	defer w.mu.Unlock()
	switch kind {
	case "execution.dispatch":
		err = take(text, func(frame contract.ExecutionDispatchFrame) { w.executions.dispatch(frame, over) })
	case "execution.cancel":
		err = take(text, func(frame contract.ExecutionCancelFrame) { w.executions.cancel(frame.ExecutionID, frame.Reason) })
	case "execution.settled":
		err = take(text, func(frame contract.ExecutionSettledFrame) { w.executions.settle(frame.ExecutionID) })
	case "session.open":
		err = take(text, func(frame contract.SessionOpenFrame) { w.handlers.start(frame, over) })
	case "session.event":
		err = take(text, func(frame contract.SessionEventFrame) { w.handlers.event(frame, over) })
	case "agent.alive":
		if over == w.link.current {
			w.handlers.repeat()
			w.requests.repeat()
		}
	case "reply":
		err = take(text, func(frame contract.ReplyFrame) {
			w.requests.reply(frame)
			w.reconcile()
		})
	case "server.drain":
		w.log.Info("the control plane drains; opening another link")
		if over == w.link.current {
			w.link.replace()
		}
	case "agent.error":
		err = take(text, func(frame contract.AgentErrorFrame) { w.refused(contract.OfObject(frame.Error)) })
	}
	if err != nil {
		w.log.Warn("a frame was skipped", "problem", fmt.Sprintf("%s: %v", kind, err))
	}
}

// take decodes a frame and hands it on.
func take[T any](text []byte, to func(frame T)) error {
	var frame T
	if err := json.Unmarshal(text, &frame); err != nil {
		return err
	}
	to(frame)
	return nil
}

func (w *worker) refused(err *Error) {
	w.log.Warn("the control plane refused a frame", "code", err.Code, "message", err.Message)
	if id, ok := err.Details["session_id"].(string); ok && err.Code == "not_found" {
		w.handlers.lost(id, err)
	}
}

// writable: what a connection could not take before, it can take now.
func (w *worker) writable() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.results.repeatAll(w.settings.times.Repeat)
	w.outbox.flush()
}

// down sees the end of a connection.
func (w *worker) down(end closing) {
	level := slog.LevelWarn
	if end.code == 1000 {
		level = slog.LevelInfo
	}
	w.log.Log(w.link.stopping, level, "the link ended", "code", end.code, "reason", end.reason)
	if w.link.current == nil {
		w.linkID = ""
	} else {
		// A connection that was replaced is gone: see what it took with it.
		w.link.current.send(w.heartbeat())
	}
	w.reconcile()
}

// reconcile looks at the state and does the next thing: lets go of replaced links, and ends a drain that is done.
func (w *worker) reconcile() {
	for old := range w.link.retiring {
		if !w.executions.uses(old) && !w.results.uses(old) && !w.handlers.uses(old) && !w.requests.uses(old) {
			w.link.retire(old)
		}
	}
	leaving := w.phase == phaseDraining || w.phase == phaseStopping
	if leaving && len(w.executions.open)+len(w.results.kept)+w.handlers.running() == 0 {
		w.link.stop()
	}
}

// say sends a frame when there is a link. Returns the connection that took it, or nil.
func (w *worker) say(frame any, over *connection) *connection {
	to := w.link.route(over)
	if to == nil || !to.send(frameText(frame)) {
		return nil
	}
	return to
}
