#include "runtime/base/ranges.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <dlfcn.h>

namespace nanort {

namespace {

// The binary interface between NVTX 3 and a profiler's library, as far as ranges need it: the library asks for a table
// of callbacks, and through it for tables of addresses where it leaves its functions. A slot that it leaves alone is
// null.
using Slot = void (*)();
constexpr uint32_t callbacksTable = 1, versionTable = 3; // export tables
constexpr int coreModule = 1, domainModule = 5;          // groups of functions
constexpr size_t push = 9, pop = 11, slotCount = 16;     // nvtxRangePushA and nvtxRangePop among the core's functions

Slot core[slotCount], domains[slotCount];

template <Slot (&slots)[slotCount]> Slot **addressesOf() {
  static Slot *addresses[slotCount + 1]; // the first is none, and null ends them
  for (size_t i = 1; i < slotCount; ++i)
    addresses[i] = &slots[i];
  return addresses;
}

/// 1 for success. Modules with functions that are never called here have none to attach to.
int functionTable(int module, Slot ***table, unsigned *size) {
  static Slot *none[2];
  const bool known = module == coreModule || module == domainModule;
  if (table)
    *table = module == coreModule ? addressesOf<core>() : module == domainModule ? addressesOf<domains>() : none;
  if (size)
    *size = known ? slotCount : 1;
  return 1;
}
void injectionVersion(uint32_t) {}

const void *exportTable(uint32_t id) {
  static const struct {
    size_t bytes;
    int (*functions)(int, Slot ***, unsigned *);
  } callbacks = {sizeof callbacks, functionTable};
  static const struct {
    size_t bytes;
    uint32_t version, reserved;
    void (*set)(uint32_t);
  } version = {sizeof version, 3, 0, injectionVersion};
  return id == callbacksTable ? static_cast<const void *>(&callbacks) : id == versionTable ? &version : nullptr;
}

/// True if a profiler takes ranges. Its library stays loaded.
bool attach() {
  const char *path = std::getenv("NVTX_INJECTION64_PATH");
  void *library = path && *path ? dlopen(path, RTLD_LAZY) : nullptr;
  void *start = library ? dlsym(library, "InitializeInjectionNvtx2") : nullptr;
  if (!start || !reinterpret_cast<int (*)(const void *(*)(uint32_t))>(start)(exportTable))
    return false;
  return core[push] && core[pop];
}

bool attached() {
  static const bool result = attach();
  return result;
}

} // namespace

Range::Range(const char *name) {
  if (attached())
    reinterpret_cast<int (*)(const char *)>(core[push])(name);
}

Range::~Range() {
  if (attached())
    reinterpret_cast<int (*)()>(core[pop])();
}

} // namespace nanort
