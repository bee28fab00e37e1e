#include "runtime/tools/dot.h"

#include "runtime/tools/launches.h"

namespace nanort::tools {

namespace {

using Nodes = flatbuffers::Vector<flatbuffers::Offset<schema::Node>>;

/// In quotes, as dot reads it.
std::string quoted(const std::string &text) {
  std::string result = "\"";
  for (char c : text)
    result += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return result + "\"";
}

/// Nodes of one body, named prefix0, prefix1, ...; `first` of them were added before.
void append(std::string &dot, const schema::Program &program, const Nodes &nodes, const std::string &prefix,
            uint32_t first, const std::string &indent) {
  for (uint32_t i = 0; i < nodes.size(); ++i) {
    const std::string name = prefix + std::to_string(first + i);
    const std::string location = nodes[i]->location() ? "\\n" + nodes[i]->location()->str() : "";
    std::string label = quoted(std::to_string(first + i) + " " + kernelOf(program, *nodes[i]));
    label.insert(label.size() - 1, location);
    dot += indent + name + " [label=" + label + "];\n";
    for (const schema::Edge *edge : *nodes[i]->edges())
      dot += indent + prefix + std::to_string(edge->from()) + " -> " + name +
             (edge->kind() == schema::EdgeKind::Programmatic ? " [style=dashed];\n" : ";\n");
  }
}

} // namespace

std::string dotOf(const schema::Program &program, const schema::Entry &entry) {
  std::string dot = "digraph " + quoted(program.target()->str() + "." + entry.name()->str()) + " {\n" +
                    "  compound=true;\n  node [shape=box, fontname=\"sans-serif\", fontsize=10];\n";
  append(dot, program, *entry.nodes(), "n", 0, "  ");
  // One loop after the other, after all nodes.
  std::string before = entry.nodes()->size() ? "n" + std::to_string(entry.nodes()->size() - 1) : "", tail;
  for (uint32_t i = 0; entry.loops() && i < entry.loops()->size(); ++i) {
    const schema::Loop &loop = *entry.loops()->Get(i);
    const schema::Entry &repeated = *program.entries()->Get(loop.entry());
    const std::string prefix = "l" + std::to_string(i) + "_", cluster = "cluster_" + std::to_string(i);
    dot += "  subgraph " + cluster + " {\n    label=" +
           quoted("while " + program.buffers()->Get(loop.go())->name()->str() + "[" + std::to_string(loop.word()) +
                  "]: " + repeated.name()->str()) +
           ";\n";
    append(dot, program, *repeated.nodes(), prefix, 0, "    ");
    append(dot, program, *loop.nodes(), prefix, repeated.nodes()->size(), "    ");
    dot += "  }\n";
    const uint32_t count = repeated.nodes()->size() + loop.nodes()->size();
    if (!before.empty() && count > 0)
      dot += "  " + before + " -> " + prefix + "0 [" + tail + "lhead=" + cluster + "];\n";
    before = prefix + std::to_string(count - 1);
    tail = "ltail=" + cluster + ", ";
  }
  return dot + "}\n";
}

} // namespace nanort::tools
