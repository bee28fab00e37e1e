// make_instances MEANING ENGINE MOST: a C++ source with the instances of a kernel for the emulator, those of the sweep
// that CPU and GPU tests share; evenly chosen if they are more than MOST.
#include "codegen/Instantiate.h"
#include "tests/unit/kernel_cases.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>

using namespace nanotest;

int main(int argc, char **argv) {
  const kernels::Kernel *kernel = argc == 4 ? kernels::catalogue().kernel(argv[1], argv[2]) : nullptr;
  if (!kernel || !kernel->engine)
    return 2;
  std::vector<kernels::Values> all;
  std::set<std::string> seen;
  for (const Case &c : casesOf(*kernel))
    if (seen.insert(kernel->instanceName(c.params)).second)
      all.push_back(c.params);
  const size_t count = std::min<size_t>(all.size(), std::strtoul(argv[3], nullptr, 10));
  std::printf("// Made by tests/emulator/make_instances.cpp.\n#include \"tests/emulator/device.h\"\n"
              "#include \"tests/emulator/instances.h\"\n\nnamespace device {\n"
              "#include \"kernels_templates/%s\"\n",
              std::string(kernel->engine->header).c_str());
  for (size_t i = 0; i < count; ++i) {
    const kernels::Values &params = all[i * all.size() / count];
    std::string own = codegen::instantiate(*kernel, params).own;
    // The block's shared memory has one name there.
    const std::string shared = "extern __shared__ __align__(1024) unsigned char shared[];";
    if (const size_t at = own.find(shared); at != std::string::npos)
      own.replace(at, shared.size(), "unsigned char *shared = dynamicShared();");
    const std::string name = kernel->instanceName(params);
    std::printf("#undef NANO_BOUNDS\nnamespace instance%zu {\n%s\n[[maybe_unused]] static const bool added = "
                "emulator::addInstance(\"%s\", emulator::kernelOf(&%s));\n} // namespace instance%zu\n",
                i, own.c_str(), name.c_str(), name.c_str(), i);
  }
  std::printf("} // namespace device\n");
}
