#include "kernels_templates/base/kernel.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>

namespace kernels {

[[noreturn]] static void unknown(const char *what, std::string_view name) {
  std::fprintf(stderr, "%s '%.*s' does not exist\n", what, static_cast<int>(name.size()), name.data());
  std::abort();
}

Values::Values(std::initializer_list<std::pair<std::string_view, int64_t>> given) {
  for (const auto &[name, value] : given)
    values.emplace_back(name, value);
}

std::optional<int64_t> Values::find(std::string_view name) const {
  for (const auto &[key, value] : values)
    if (key == name)
      return value;
  return std::nullopt;
}

int64_t Values::operator[](std::string_view name) const {
  const std::optional<int64_t> value = find(name);
  if (!value)
    unknown("kernel parameter or scalar", name);
  return *value;
}

uint64_t Values::count(std::string_view name) const {
  return static_cast<uint64_t>(std::max<int64_t>(0, (*this)[name]));
}

void Values::set(std::string_view name, int64_t value) {
  for (auto &[key, old] : values)
    if (key == name) {
      old = value;
      return;
    }
  values.emplace_back(name, value);
}

Values Values::with(const Values &more) const {
  Values result = *this;
  for (const auto &[name, value] : more)
    result.set(name, value);
  return result;
}

Arg input(std::string_view name, std::string_view type, std::string_view shape) {
  return {.name = name, .access = Access::In, .role = Role::Activation, .type = type, .shape = shape};
}
Arg constant(std::string_view name, std::string_view type, std::string_view shape) {
  return {.name = name, .access = Access::In, .role = Role::Constant, .type = type, .shape = shape};
}
Arg output(std::string_view name, std::string_view type, std::string_view shape) {
  return {.name = name, .access = Access::Out, .role = Role::Activation, .type = type, .shape = shape};
}
Arg index(std::string_view name, std::string_view shape, std::string_view of) {
  return {.name = name,
          .access = Access::In,
          .role = Role::Index,
          .type = "i32",
          .shape = shape,
          .of = of.empty() ? name : of};
}
Arg integer(std::string_view name) { return {.name = name, .access = Access::I32}; }
Arg real(std::string_view name) { return {.name = name, .access = Access::F32}; }

DType elementType(const Arg &arg, const Values &params) {
  const std::optional<DType> type = fromName(arg.type);
  return type ? *type : params.type(arg.type);
}

/// "heads+2*kv_heads": a sum of names and numbers, each with a number before it or none.
static uint64_t factorOf(std::string_view text, const Values &launch, const Limits &limits) {
  auto valueOf = [&](std::string_view name) -> uint64_t {
    uint64_t number = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), number).ptr == name.data() + name.size())
      return number;
    if (launch.find(name))
      return launch.count(name);
    return name == "tokens"      ? limits.tokens
           : name == "rows"      ? limits.rows
           : name == "vocab"     ? limits.vocab
           : name == "positions" ? limits.positions
                                 : launch.count(name);
  };
  uint64_t sum = 0;
  while (!text.empty()) {
    const size_t plus = std::min(text.find('+'), text.size());
    const std::string_view term = text.substr(0, plus);
    const size_t times = term.find('*');
    const uint64_t value = times == std::string_view::npos
                               ? valueOf(term)
                               : elementCount(valueOf(term.substr(0, times)), valueOf(term.substr(times + 1)));
    if (__builtin_add_overflow(sum, value, &sum))
      return UINT64_MAX;
    text.remove_prefix(std::min(plus + 1, text.size()));
  }
  return sum;
}

static uint64_t elementsOf(std::string_view shape, const Values &launch, const Limits &limits) {
  uint64_t count = 1;
  while (!shape.empty()) {
    const size_t end = std::min(shape.find(' '), shape.size());
    count = elementCount(count, factorOf(shape.substr(0, end), launch, limits));
    shape.remove_prefix(std::min(end + 1, shape.size()));
  }
  return count;
}

Kernel::Kernel(const Meaning &meaning, const Engine *engine)
    : meaning(meaning), engine(engine), params(meaning.params) {
  std::vector<Arg> all = meaning.args;
  if (engine) {
    params.insert(params.end(), engine->params.begin(), engine->params.end());
    all.insert(all.end(), engine->args.begin(), engine->args.end());
  }
  std::stable_partition(all.begin(), all.end(), [](const Arg &arg) { return !isScalar(arg.access); });
  args = std::move(all);
}

std::string Kernel::text() const { return meaning.name + (engine ? " by " + std::string(engine->name) : ""); }

std::string Kernel::instanceName(const Values &values) const {
  std::string name = meaning.name + "_" + (engine ? std::string(engine->name) : "reference");
  for (const Param &param : params)
    name += "_" + (param.isType ? std::string(nameOf(values.type(param.name))) : std::to_string(values[param.name]));
  return name;
}

std::string Kernel::constraint(const Values &values) const {
  std::string violated = meaning.constraint(values);
  return violated.empty() && engine && engine->constraint ? engine->constraint(values) : violated;
}

LaunchShape Kernel::shape(const Values &launch) const { return engine->shape(launch); }

Cost Kernel::cost(const Values &launch) const {
  Cost cost = meaning.cost(launch);
  if (engine && engine->moreCost) {
    const Cost more = engine->moreCost(launch);
    cost.bytes += more.bytes;
    cost.flops += more.flops;
  }
  return cost;
}

double Kernel::tolerance(const Values &values) const {
  return meaning.tolerance(values) + (engine && engine->moreTolerance ? engine->moreTolerance(values) : 0);
}

std::string Kernel::fallback(const Values &values) const {
  return engine && engine->fallback ? engine->fallback(values) : "";
}

std::vector<TensorMap> Kernel::maps(const Values &launch, const Limits &limits) const {
  return engine && engine->maps ? engine->maps(launch, limits) : std::vector<TensorMap>();
}

uint64_t Kernel::elements(const Arg &arg, const Values &launch, const Limits &limits) const {
  return arg.elements ? arg.elements(launch, limits) : elementsOf(arg.shape, launch, limits);
}

bool Kernel::tensorCores(const Values &values) const {
  const std::optional<int64_t> type = values.find("T");
  return engine && engine->tensorCores && type == static_cast<int64_t>(DType::BF16) && fallback(values).empty();
}

size_t Kernel::indexOf(std::string_view name) const {
  for (size_t i = 0; i < args.size(); ++i)
    if (args[i].name == name)
      return i;
  unknown("argument", name);
}

size_t Kernel::scalarCount() const {
  return static_cast<size_t>(
      std::count_if(args.begin(), args.end(), [](const Arg &arg) { return isScalar(arg.access); }));
}

Values Kernel::launch(const Values &values, const std::vector<Scalar> &scalars) const {
  Values result = values;
  size_t next = 0;
  for (const Arg &arg : args)
    if (isScalar(arg.access)) {
      const Scalar scalar = scalars[next++];
      if (arg.access == Access::I32)
        result.set(arg.name, scalar.i);
    }
  return result;
}

} // namespace kernels
