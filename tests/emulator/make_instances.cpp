// make_instances FAMILY MOST: a C++ source with the instances of a family for the emulator, those of the sweep that
// CPU and GPU tests share; evenly chosen if they are more than MOST.
#include "codegen/Instantiate.h"
#include "tests/unit/family_cases.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>

using namespace nanotest;

int main(int argc, char **argv) {
  if (argc != 3)
    return 2;
  const std::string family = argv[1];
  std::vector<std::string> rows;
  std::set<std::string> seen;
  for (const Case &c : casesOf(family)) {
    if (!seen.insert(codegen::kernelName(*c.family, c.params)).second)
      continue;
    std::string row = "EMULATE(" + family;
    for (const kernels::ParamDecl &param : c.family->params)
      row +=
          ", " + (param.isType ? std::string(nameOf(c.params.type(param.name))) : std::to_string(c.params[param.name]));
    rows.push_back(row + ")\n");
  }
  const size_t count = std::min<size_t>(rows.size(), std::strtoul(argv[2], nullptr, 10));
  std::printf("// Made by tests/emulator/make_instances.cpp.\n#include \"tests/emulator/device.h\"\n"
              "#include \"tests/emulator/instances.h\"\n\nnamespace device {\n"
              "#include \"kernels_templates/%s/kernel.cuh\"\n\n",
              family.c_str());
  for (size_t i = 0; i < count; ++i)
    std::fputs(rows[i * rows.size() / count].c_str(), stdout);
  std::printf("} // namespace device\n");
}
