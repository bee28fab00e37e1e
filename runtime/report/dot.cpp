#include "runtime/report/dot.h"

namespace nanort::report {

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
void append(std::string &dot, const std::vector<Launch> &launches, const Nodes &nodes, const std::string &prefix,
            uint32_t first, const std::string &indent) {
  for (uint32_t i = 0; i < nodes.size(); ++i) {
    const std::string name = prefix + std::to_string(first + i);
    const std::string location = launches[i].location.empty() ? "" : "\\n" + launches[i].location;
    std::string label = quoted(std::to_string(first + i) + " " + launches[i].text());
    label.insert(label.size() - 1, location);
    dot += indent + name + " [label=" + label + "];\n";
    for (const schema::Edge *edge : *nodes[i]->edges())
      dot += indent + prefix + std::to_string(edge->from()) + " -> " + name +
             (edge->kind() == schema::EdgeKind::Programmatic ? " [style=dashed];\n" : ";\n");
  }
}

} // namespace

std::string dotOf(const Program &program, const Entry &entry) {
  std::string dot = "digraph " + quoted(program.target + "." + entry.name) + " {\n" +
                    "  compound=true;\n  node [shape=box, fontname=\"sans-serif\", fontsize=10];\n";
  append(dot, entry.launches, *entry.table->nodes(), "n", 0, "  ");
  // One loop after the other, after all nodes.
  std::string before = entry.launches.empty() ? "" : "n" + std::to_string(entry.launches.size() - 1), tail;
  for (uint32_t i = 0; i < entry.loops.size(); ++i) {
    const schema::Loop &loop = *entry.table->loops()->Get(i);
    const Entry &repeated = program.entries[loop.entry()];
    const std::string prefix = "l" + std::to_string(i) + "_", cluster = "cluster_" + std::to_string(i);
    dot += "  subgraph " + cluster + " {\n    label=" + quoted(entry.loops[i].text()) + ";\n";
    append(dot, repeated.launches, *repeated.table->nodes(), prefix, 0, "    ");
    append(dot, entry.loops[i].launches, *loop.nodes(), prefix, repeated.table->nodes()->size(), "    ");
    dot += "  }\n";
    const size_t count = repeated.launches.size() + entry.loops[i].launches.size();
    if (!before.empty() && count > 0)
      dot += "  " + before + " -> " + prefix + "0 [" + tail + "lhead=" + cluster + "];\n";
    before = prefix + std::to_string(count - 1);
    tail = "ltail=" + cluster + ", ";
  }
  return dot + "}\n";
}

} // namespace nanort::report
