package fold

import (
	"cmp"
	"slices"

	"github.com/parley-dev/parley/packages/go/contract"
)

// Workflow folds executions of one workflow, in any order, into its tree. An execution whose parent is not among them
// hangs below the root. The workflow runs while any execution does; afterwards it ended as its root did: a failed child
// that its parent dealt with is not a failed workflow. It is nil when there are no executions.
func Workflow(executions []contract.ExecutionResource) *contract.WorkflowResource {
	if len(executions) == 0 {
		return nil
	}
	ordered := slices.Clone(executions)
	slices.SortStableFunc(ordered, func(a, b contract.ExecutionResource) int {
		return cmp.Or(cmp.Compare(a.CreatedAtMS, b.CreatedAtMS), cmp.Compare(a.ExecutionID, b.ExecutionID))
	})
	root := max(0, slices.IndexFunc(ordered, func(one contract.ExecutionResource) bool { return one.ParentExecutionID == nil }))
	t := tree{ordered: ordered, children: childrenOf(ordered, root), placed: map[string]bool{}, workflow: &contract.WorkflowResource{
		WorkflowID: ordered[root].WorkflowID, RootExecutionID: ordered[root].ExecutionID, SessionID: ordered[root].SessionID,
		Status: ordered[root].Status, Nodes: []contract.WorkflowNode{}, Edges: []contract.WorkflowResourceEdgesEntry{},
	}}
	t.place(root, 0)
	// Executions that name each other as parents reach no root; they are shown below it rather than not at all.
	for i, one := range ordered {
		if !t.placed[one.ExecutionID] {
			t.edge(root, i)
			t.place(i, 1)
		}
	}
	t.workflow.TotalNodes = contract.Int(len(t.workflow.Nodes))
	for _, node := range t.workflow.Nodes {
		t.workflow.MaxDepth = max(t.workflow.MaxDepth, node.Depth)
		if !Ended(node.Status) {
			t.workflow.Status = "running"
		}
	}
	return t.workflow
}

// Ended says whether an execution of this status will not change any more.
func Ended(status contract.ExecutionStatus) bool { return status != "queued" && status != "running" }

// childrenOf are the places of the children of each execution, the root's own place left out.
func childrenOf(ordered []contract.ExecutionResource, root int) map[string][]int {
	known := make(map[string]bool, len(ordered))
	for _, one := range ordered {
		known[one.ExecutionID] = true
	}
	children := map[string][]int{}
	for i, one := range ordered {
		if i == root {
			continue
		}
		parent := ordered[root].ExecutionID
		if one.ParentExecutionID != nil && known[*one.ParentExecutionID] {
			parent = *one.ParentExecutionID
		}
		children[parent] = append(children[parent], i)
	}
	return children
}

type tree struct {
	ordered  []contract.ExecutionResource
	children map[string][]int
	placed   map[string]bool
	workflow *contract.WorkflowResource
}

func (t *tree) edge(from, to int) {
	t.workflow.Edges = append(t.workflow.Edges, contract.WorkflowResourceEdgesEntry{
		From: t.ordered[from].ExecutionID, To: t.ordered[to].ExecutionID,
	})
}

// place adds an execution and everything below it, level by level.
func (t *tree) place(from int, depth int) {
	type waiting struct{ at, depth int }
	t.placed[t.ordered[from].ExecutionID] = true
	for queue := []waiting{{from, depth}}; len(queue) > 0; queue = queue[1:] {
		next := queue[0]
		t.workflow.Nodes = append(t.workflow.Nodes, nodeOf(t.ordered[next.at], next.depth))
		for _, child := range t.children[t.ordered[next.at].ExecutionID] {
			if id := t.ordered[child].ExecutionID; !t.placed[id] {
				t.placed[id] = true
				t.edge(next.at, child)
				queue = append(queue, waiting{child, next.depth + 1})
			}
		}
	}
}

func nodeOf(one contract.ExecutionResource, depth int) contract.WorkflowNode {
	return contract.WorkflowNode{
		ExecutionID: one.ExecutionID, ParentExecutionID: one.ParentExecutionID, SessionID: one.SessionID, Target: one.Target,
		Kind: one.Kind, Status: one.Status, Reason: one.Reason, Depth: contract.Int(depth), CreatedAtMS: one.CreatedAtMS,
		StartedAtMS: one.StartedAtMS, FinishedAtMS: one.FinishedAtMS, DurationMS: one.DurationMS, Error: one.Error,
		Notes: contract.Int(len(one.Notes)),
	}
}
