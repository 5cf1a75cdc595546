package exchange

import (
	"fmt"
	"strings"
	"time"

	"peregrine/history"
	"peregrine/model/generate"
)

// node is a place in another program's tree of messages.
type node struct {
	id, parent string
	children   []string // their order, if the program keeps one; nodes that it leaves out follow
	// skip says that the node holds no message: what is below it belongs to the message above it.
	skip bool
	history.Message
}

// chain returns messages that follow one another as a tree.
func chain(messages []history.Message) []node {
	nodes := make([]node, len(messages))
	for i, m := range messages {
		nodes[i] = node{id: fmt.Sprint(i), Message: m}
		if i > 0 {
			nodes[i].parent = nodes[i-1].id
		}
	}
	return nodes
}

// grow returns the messages of a tree, every parent before its children and siblings in their order, with ids of our own, and
// the id of the one at or above current. Without current that is the tip of the newest branch.
func grow(nodes []node, current string, n *notes) (messages []history.Message, leaf string) {
	g := newGrower(nodes, n)
	for i := range nodes {
		if g.parent[i] < 0 {
			g.visit(i)
		}
	}
	for i := range nodes { // what no root leads to
		if !g.seen[i] {
			n.add("messages that answer each other in a circle: the circle was cut open")
			g.visit(i)
		}
	}
	if i, ok := g.index[current]; ok {
		return g.messages, g.above[i]
	}
	return g.messages, g.last
}

// grower walks a tree without recursion: its depth is a file's to choose.
type grower struct {
	nodes    []node
	index    map[string]int
	parent   []int   // -1: a root
	children [][]int // in order
	seen     []bool
	above    []string // our id of the message at, or else above, each node
	messages []history.Message
	last     string
}

func newGrower(nodes []node, n *notes) *grower {
	g := &grower{
		nodes: nodes, index: make(map[string]int, len(nodes)),
		parent: make([]int, len(nodes)), children: make([][]int, len(nodes)),
		seen: make([]bool, len(nodes)), above: make([]string, len(nodes)),
	}
	for i, o := range nodes {
		if _, twice := g.index[o.id]; twice {
			n.add("message id %s stands for two messages", quote(o.id))
			continue
		}
		g.index[o.id] = i
	}
	for i, o := range nodes {
		p, ok := g.index[o.parent]
		if !ok || p == i {
			p = -1
			if o.parent != "" {
				n.add("message whose parent is missing: it starts a branch of its own")
			}
		}
		g.parent[i] = p
	}
	g.order()
	return g
}

// order fills children: first those that a node lists, then the others as they come.
func (g *grower) order() {
	placed := make([]bool, len(g.nodes))
	for i, o := range g.nodes {
		for _, id := range o.children {
			c, ok := g.index[id]
			if ok && g.parent[c] == i && !placed[c] {
				placed[c] = true
				g.children[i] = append(g.children[i], c)
			}
		}
	}
	for i, p := range g.parent {
		if p >= 0 && !placed[i] {
			g.children[p] = append(g.children[p], i)
		}
	}
}

// visit adds a node and all below it.
func (g *grower) visit(root int) {
	stack := []int{root}
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if g.seen[i] {
			continue
		}
		g.seen[i] = true
		if p := g.parent[i]; p >= 0 {
			g.above[i] = g.above[p]
		}
		if !g.nodes[i].skip {
			m := g.nodes[i].Message
			m.ID, m.ParentID = fmt.Sprintf("m%d", len(g.messages)+1), g.above[i]
			g.messages = append(g.messages, m)
			g.above[i] = m.ID
		}
		g.last = g.above[i]
		for c := len(g.children[i]) - 1; c >= 0; c-- {
			stack = append(stack, g.children[i][c])
		}
	}
}

// plant makes the conversation: a system message before all others becomes its system prompt, and what has no time takes the
// first message's.
func plant(h history.Header, messages []history.Message, leaf string, n *notes) (*history.Conversation, error) {
	prompt, moved := leadingSystem(messages)
	var texts []string
	if h.System != "" {
		texts = append(texts, h.System)
	}
	for _, m := range prompt {
		texts = append(texts, m.Content)
	}
	if len(texts) > 1 {
		n.add("system messages in a row: joined to one")
	}
	h.System = strings.Join(texts, "\n\n")
	kept := make([]history.Message, 0, len(messages)-len(prompt))
	for _, m := range messages {
		if _, gone := moved[m.ID]; gone {
			continue
		}
		if _, gone := moved[m.ParentID]; gone {
			m.ParentID = ""
		}
		if m.Role == generate.System {
			n.add("system message among the others: it stays there, which some templates refuse")
		}
		kept = append(kept, m)
	}
	if _, gone := moved[leaf]; gone {
		leaf = ""
	}
	if h.Created.IsZero() {
		h.Created = firstTime(messages)
	}
	return history.New(h, kept, leaf)
}

// leadingSystem returns the system messages that every branch begins with.
func leadingSystem(messages []history.Message) (prompt []history.Message, ids map[string]struct{}) {
	children := make(map[string][]int, len(messages))
	for i, m := range messages {
		children[m.ParentID] = append(children[m.ParentID], i)
	}
	ids = map[string]struct{}{}
	for at := ""; len(children[at]) == 1; {
		m := messages[children[at][0]]
		if m.Role != generate.System {
			break
		}
		prompt = append(prompt, m)
		ids[m.ID] = struct{}{}
		at = m.ID
	}
	return prompt, ids
}

func firstTime(messages []history.Message) time.Time {
	for _, m := range messages {
		if !m.CreatedAt.IsZero() {
			return m.CreatedAt
		}
	}
	return time.Time{}
}
