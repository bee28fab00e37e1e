#include "runtime/report/format.h"
#include "runtime/report/report.h"

#include <nlohmann/json.hpp>

namespace nanort::report {

namespace {

/// Writes an object or array member by member; nlohmann's own values have no numbers of a fixed number of digits.
class Json {
public:
  std::string text;

  template <typename Members> void object(Members members) { group('{', members, '}'); }
  template <typename Elements> void array(Elements elements) { group('[', elements, ']'); }
  Json &key(const char *name) {
    comma();
    text += quoted(name) + ":";
    first = true; // no comma before its value
    return *this;
  }
  void raw(const std::string &value) {
    comma();
    text += value;
  }
  void string(const std::string &value) { raw(quoted(value)); }
  void number(uint64_t value) { raw(std::to_string(value)); }
  void boolean(bool value) { raw(value ? "true" : "false"); }

private:
  bool first = true;

  /// A stage that was edited by hand may hold anything: what is not UTF-8 becomes U+FFFD.
  static std::string quoted(const std::string &value) {
    return nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  void comma() {
    if (!first)
      text += ',';
    first = false;
  }
  template <typename Inside> void group(char begin, Inside inside, char end) {
    comma();
    text += begin;
    first = true;
    inside();
    text += end;
    first = false;
  }
};

void decimalOf(Json &json, const char *name, std::optional<double> value) {
  json.key(name).raw(decimal(value, 2, "null"));
}

void countsOf(Json &json, const Counts &counts) {
  json.key("launches").number(counts.launches);
  json.key("bytes").number(counts.bytes);
  json.key("flops").number(counts.flops);
}

void nodesOf(Json &json, const std::vector<Launch> &launches) {
  json.key("nodes").array([&] {
    for (const Launch &launch : launches)
      json.object([&] {
        const std::optional<kernels::Prediction> &predicted = launch.predicted;
        json.key("kernel").string(launch.kernel);
        json.key("location").string(launch.location);
        json.key("bytes").number(launch.bytes);
        json.key("flops").number(launch.flops);
        decimalOf(json, "predicted_us", predicted ? std::optional(predicted->us()) : std::nullopt);
        decimalOf(json, "memory_us", predicted ? std::optional(predicted->bytesUs) : std::nullopt);
        decimalOf(json, "compute_us", predicted ? std::optional(predicted->flopsUs) : std::nullopt);
        if (predicted)
          json.key("bound").string(predicted->bound());
        else
          json.key("bound").raw("null");
        if (launch.onEarlyEdge) {
          json.key("leaves_half_sm").boolean(launch.leavesHalf());
          json.key("shared_bytes").number(launch.shared);
          if (launch.registers)
            json.key("registers").number(*launch.registers);
        }
        if (!launch.considered.empty())
          json.key("considered").array([&] {
            for (const std::string &line : launch.considered)
              json.string(line);
          });
        if (!launch.fallback.empty())
          json.key("fallback").string(launch.fallback);
      });
  });
}

/// "prefill"
std::string kindOf(const schema::Entry &entry) {
  std::string name = schema::EnumNameEntryKind(entry.kind());
  name[0] = static_cast<char>(name[0] - 'A' + 'a');
  return name;
}

void entryOf(Json &json, const Entry &entry) {
  json.key("name").string(entry.name);
  json.key("kind").string(kindOf(*entry.table));
  json.key("batch").number(entry.table->rows());
  json.key("tokens").number(entry.table->tokens());
  json.key("eager").object([&] { countsOf(json, entry.eager); });
  json.key("plan").object([&] {
    countsOf(json, entry.planned);
    decimalOf(json, "predicted_us", entry.predictedUs);
  });
  nodesOf(json, entry.launches);
  json.key("loops").array([&] {
    for (const Loop &loop : entry.loops)
      json.object([&] {
        json.key("entry").string(loop.entry);
        nodesOf(json, loop.launches);
      });
  });
}

void programOf(Json &json, const Program &program) {
  json.object([&] {
    json.key("target").string(program.target);
    json.key("precision").string(program.precision);
    json.key("entries").array([&] {
      for (const Entry &entry : program.entries)
        json.object([&] { entryOf(json, entry); });
    });
    const Memory &memory = program.memory;
    json.key("memory").object([&] {
      json.key("weights").number(memory.weights);
      json.key("constants").number(memory.tables);
      json.key("kv").number(memory.kv);
      json.key("state").number(memory.state);
      json.key("arena").number(memory.arena);
      json.key("workspace").number(memory.workspace);
      json.key("mapped").number(memory.mapped);
    });
  });
}

} // namespace

std::string json(const Plan &plan) {
  Json json;
  const std::vector<Program> programs = describe(plan);
  if (programs.size() == 1)
    programOf(json, programs.front());
  else
    json.object([&] {
      json.key("programs").array([&] {
        for (const Program &program : programs)
          programOf(json, program);
      });
    });
  return json.text + "\n";
}

} // namespace nanort::report
