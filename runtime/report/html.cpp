#include "runtime/report/format.h"
#include "runtime/report/report.h"

#include <algorithm>
#include <iterator>

namespace nanort::report {

namespace {

constexpr const char *style = R"(
:root { --ink: #1b1f24; --dim: #57606a; --line: #d0d7de; --soft: #f6f8fa; --accent: #0550ae; }
body { font: 14px/1.45 system-ui, sans-serif; color: var(--ink); max-width: 1180px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p, nav { color: var(--dim); margin: .2rem 0 .8rem; } nav a { margin-right: .9rem; } a { color: var(--accent); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .4rem 0 1rem; }
th, td { padding: .18rem .7rem .18rem 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--dim); font-weight: 600; vertical-align: bottom; } td.t, th.t { text-align: left; }
td.t code { font-size: 12px; } tbody tr:hover { background: var(--soft); }
.bar { display: inline-block; height: .7em; background: #54aeff; vertical-align: baseline; }
.memory { background: #54aeff; } .compute { background: #c297ff; } .launch { background: #d4a72c; }
.stack { display: flex; height: 1.4rem; width: 100%; margin: .4rem 0; } .stack span { display: block; min-width: 1px; }
.scroll { overflow-x: auto; } svg { background: var(--soft); border: 1px solid var(--line); display: block; }
svg rect:hover { stroke: #000; stroke-width: 1.5; } svg text { font: 11px system-ui, sans-serif; fill: var(--dim); }
details { margin: .25rem 0; } summary { cursor: pointer; }
pre { background: var(--soft); border: 1px solid var(--line); padding: .8rem; overflow-x: auto; font-size: 12px; }
)";

std::string escaped(std::string_view text) {
  std::string safe;
  for (char c : text)
    switch (c) {
    case '&':
      safe += "&amp;";
      break;
    case '<':
      safe += "&lt;";
      break;
    case '>':
      safe += "&gt;";
      break;
    case '"':
      safe += "&quot;";
      break;
    case '\'':
      safe += "&#39;";
      break;
    default:
      safe += c;
    }
  return safe;
}

/// "1.50 MiB"
std::string sizeText(uint64_t bytes) {
  const char *units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  double value = static_cast<double>(bytes);
  for (; value >= 1024 && unit < 4; ++unit)
    value /= 1024;
  return unit == 0 ? std::to_string(bytes) + " B" : formatted("%.2f %s", value, units[unit]);
}

/// Colours that neighbours tell apart, the same for the same index.
std::string colour(size_t index) { return formatted("hsl(%zu 55%% %zu%%)", index * 137 % 360, 58 + index % 3 * 8); }

std::string number(uint64_t value) { return std::to_string(value); }
std::string cell(const std::string &text) { return "<td>" + text + "</td>"; }

class Page {
public:
  explicit Page(const Plan &plan) : plan(plan), programs(describe(plan)) {}

  std::string write() {
    const schema::Model &model = *plan.root().model();
    const std::string title = escaped(model.name()->string_view());
    out += "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>" + title +
           ": plan</title>\n<style>" + style + "</style>\n</head>\n<body>\n<h1>" + title + "</h1>\n<p>";
    const std::pair<const char *, uint64_t> facts[] = {{"layers", model.layers()},
                                                       {"width", model.width()},
                                                       {"heads", model.heads()},
                                                       {"kv_heads", model.kv_heads()},
                                                       {"head_dim", model.head_dim()},
                                                       {"vocab", model.vocab()},
                                                       {"sequence_len", model.sequence_len()},
                                                       {"max_seq", model.max_seq()}};
    for (const auto &[name, value] : facts)
      if (value)
        out += std::string(name) + "&nbsp;" + number(value) + " &nbsp; ";
    out += "</p>\n<nav>";
    for (const Program &program : programs) {
      const std::string target = escaped(program.target);
      out += "<a href=\"#" + target + "\">program " + target + "</a>";
    }
    out += "</nav>\n";
    for (const Program &program : programs)
      write(program);
    out += "</body>\n</html>\n";
    return std::move(out);
  }

private:
  const Plan &plan;
  const std::vector<Program> programs;
  std::string out;

  /// Of an entry or a kernel: one that no other program's has.
  static std::string anchor(const Program &program, const std::string &name) {
    return escaped(program.target + "." + name);
  }

  void write(const Program &program) {
    const std::string target = escaped(program.target);
    out += "<h2 id=\"" + target + "\">Program " + target + ", " + escaped(program.precision) + "</h2>\n";
    memory(program.memory);
    out += "<h3>Entries</h3>\n<table>\n<thead><tr><th class=\"t\">entry</th><th>tokens</th><th>rows</th>"
           "<th>launches</th><th>unfused</th><th>moved</th><th>unfused</th><th>GFLOP</th><th>predicted µs</th>"
           "</tr></thead>\n<tbody>\n";
    for (const Entry &entry : program.entries)
      out += "<tr><td class=\"t\"><a href=\"#" + anchor(program, entry.name) + "\">" + escaped(entry.name) +
             "</a></td>" + cell(number(entry.table->tokens())) + cell(number(entry.table->rows())) +
             cell(number(entry.planned.launches)) + cell(number(entry.eager.launches)) +
             cell(sizeText(entry.planned.bytes)) + cell(sizeText(entry.eager.bytes)) +
             cell(decimal(entry.planned.flops / 1e9, 3, "")) + cell(decimal(entry.predictedUs, 1, "–")) + "</tr>\n";
    out += "</tbody>\n</table>\n";
    for (uint32_t i = 0; i < program.entries.size(); ++i)
      write(program, i);
    kernels(program);
  }

  void memory(const Memory &line) {
    const std::pair<const char *, uint64_t> kinds[] = {
        {"weights", line.weights},     {"constants", line.tables}, {"kv", line.kv},
        {"state", line.state},         {"arena", line.arena},      {"workspace", line.workspace},
        {"mapped (host)", line.mapped}};
    constexpr size_t onDevice = std::size(kinds) - 1;
    uint64_t total = 0;
    for (size_t i = 0; i < onDevice; ++i)
      total += kinds[i].second;
    out += "<h3>Memory: " + sizeText(total) + " on the device</h3>\n<div class=\"stack\">";
    for (size_t i = 0; i < onDevice; ++i)
      if (kinds[i].second > 0)
        out += "<span style=\"flex:" + number(kinds[i].second) + ";background:" + colour(i) + "\" title=\"" +
               kinds[i].first + " " + sizeText(kinds[i].second) + "\"></span>";
    out += "</div>\n<table>\n<tbody>\n";
    for (size_t i = 0; i < std::size(kinds); ++i)
      out += "<tr><td class=\"t\"><span class=\"bar\" style=\"width:.7em;background:" +
             (i < onDevice ? colour(i) : std::string("none")) + "\"></span> " + kinds[i].first + "</td>" +
             cell(sizeText(kinds[i].second)) + cell(number(kinds[i].second)) + "</tr>\n";
    out += "</tbody>\n</table>\n";
  }

  void write(const Program &program, uint32_t index) {
    const Entry &entry = program.entries[index];
    out += "<h3 id=\"" + anchor(program, entry.name) + "\">" + escaped(entry.name) + "</h3>\n";
    launches(program, entry.launches);
    for (const Loop &loop : entry.loops) {
      out += "<p>While " + escaped(loop.go) + "[" + number(loop.word) + "]: <a href=\"#" + anchor(program, loop.entry) +
             "\">" + escaped(loop.entry) + "</a>, then</p>\n";
      launches(program, loop.launches);
    }
    arena(program, index);
  }

  void launches(const Program &program, const std::vector<Launch> &list) {
    double longest = 0;
    for (const Launch &launch : list)
      longest = std::max(longest, launch.predicted ? launch.predicted->us() : 0);
    out += "<div class=\"scroll\"><table>\n<thead><tr><th>node</th><th class=\"t\">kernel</th><th class=\"t\">location"
           "</th><th>moved</th><th>GFLOP</th><th>memory µs</th><th>flops µs</th><th>predicted µs</th>"
           "<th class=\"t\">bound by</th></tr></thead>\n<tbody>\n";
    for (size_t i = 0; i < list.size(); ++i) {
      const Launch &launch = list[i];
      const std::optional<kernels::Prediction> &best = launch.predicted;
      auto us = [&](double value) { return cell(decimal(best ? std::optional(value) : std::nullopt, 2, "–")); };
      out += "<tr>" + cell(number(i)) + "<td class=\"t\"><a href=\"#" + anchor(program, launch.kernel) + "\"><code>" +
             escaped(launch.kernel) + "</code></a>" + (launch.library ? " by cuBLASLt" : "") + considered(launch);
      if (!launch.fallback.empty())
        out += "<br>general template: " + escaped(launch.fallback);
      out += "</td><td class=\"t\">" + escaped(launch.location) + "</td>" + cell(sizeText(launch.bytes)) +
             cell(decimal(launch.flops / 1e9, 4, "")) + us(best ? best->bytesUs : 0) + us(best ? best->flopsUs : 0) +
             us(best ? best->us() : 0) + "<td class=\"t\">";
      if (best)
        out += formatted("<span class=\"bar %s\" style=\"width:%.1fpx\"></span> %s", best->bound(),
                         120 * best->us() / longest, best->bound());
      out += "</td></tr>\n";
    }
    out += "</tbody>\n</table></div>\n";
  }

  /// Unfolds on a click.
  static std::string considered(const Launch &launch) {
    if (launch.considered.empty())
      return "";
    std::string text = "<details><summary>" + number(launch.considered.size()) + " considered</summary>";
    for (const std::string &line : launch.considered)
      text += "<code>" + escaped(line) + "</code><br>";
    return text + "</details>";
  }

  /// Offsets over nodes: a rectangle for every buffer's lifetime.
  void arena(const Program &program, uint32_t entry) {
    std::vector<const schema::Buffer *> buffers;
    uint64_t top = 0, end = 0;
    for (const schema::Buffer *buffer : *program.table->buffers())
      if (buffer->entry() == static_cast<int32_t>(entry)) {
        buffers.push_back(buffer);
        top = std::max(top, buffer->offset() + buffer->bytes());
        end = std::max<uint64_t>(end, buffer->last() + uint64_t{1});
      }
    if (buffers.empty())
      return;
    constexpr double height = 260, left = 78, below = 18;
    const double step = std::clamp(1060.0 / static_cast<double>(end), 3.0, 40.0),
                 width = step * static_cast<double>(end);
    auto down = [&](uint64_t offset) { return height * static_cast<double>(offset) / static_cast<double>(top); };
    out += "<details open><summary>Arena over time: " + sizeText(top) + " in " + number(buffers.size()) +
           formatted(" buffers</summary>\n<div class=\"scroll\"><svg width=\"%.0f\" height=\"%.0f\" role=\"img\" "
                     "aria-label=\"arena of ",
                     left + width + 8, height + below + 8) +
           escaped(program.entries[entry].name) + "\">\n";
    for (int tick = 0; tick <= 4; ++tick)
      out += formatted("<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">", left - 6,
                       height * tick / 4 + (tick == 0 ? 11 : 4)) +
             sizeText(top * static_cast<uint64_t>(tick) / 4) + "</text>\n";
    const uint64_t every = std::max<uint64_t>(1, (end + 19) / 20);
    for (uint64_t node = 0; node < end; node += every)
      out += formatted("<text x=\"%.1f\" y=\"%.0f\">", left + step * static_cast<double>(node) + 1, height + 15) +
             number(node) + "</text>\n";
    for (size_t i = 0; i < buffers.size(); ++i) {
      const schema::Buffer &buffer = *buffers[i];
      out += formatted("<rect x=\"%.1f\" y=\"%.2f\" width=\"%.1f\" height=\"%.2f\" fill=\"%s\">",
                       left + step * static_cast<double>(buffer.first()), down(buffer.offset()),
                       step * static_cast<double>(buffer.last() - buffer.first() + 1),
                       std::max(0.5, down(buffer.bytes())), colour(i).c_str()) +
             "<title>" + escaped(buffer.name()->string_view()) + ": " + number(buffer.bytes()) + " bytes at " +
             number(buffer.offset()) + ", nodes " + number(buffer.first()) + " to " + number(buffer.last()) +
             "</title></rect>\n";
    }
    out += "</svg></div></details>\n";
  }

  void kernels(const Program &program) {
    out += "<h3>Kernels</h3>\n";
    for (const schema::Kernel *kernel : *program.table->kernels()) {
      const std::string title = "<code>" + escaped(kernel->name()->string_view()) + "</code>, " +
                                escaped(kernel->meaning()->string_view()) +
                                (kernel->engine() ? " by " + escaped(kernel->engine()->string_view()) : "");
      const std::string id = anchor(program, kernel->name()->str());
      if (kernel->source())
        // The anchor inside, so that a link to it opens the source.
        out += "<details><summary>" + title + (kernel->code() ? ", with machine code" : ", source only") +
               "</summary><pre id=\"" + id + "\">" + escaped(kernel->source()->string_view()) + "</pre></details>\n";
      else
        out += "<p id=\"" + id + "\">" + title + "</p>\n";
    }
  }
};

} // namespace

std::string html(const Plan &plan) { return Page(plan).write(); }

} // namespace nanort::report
