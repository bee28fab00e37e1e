// What each folder of families.def defines: its description (family.cpp) and its CPU reference (cpu.cpp).
#pragma once

#include "kernels_templates/common/family.h"

#define FAMILY(name)                                                                                                   \
  namespace kernels::name {                                                                                            \
  extern const Family family;                                                                                          \
  void cpu(const CpuArgs &args);                                                                                       \
  }
#include "kernels_templates/families.def"
#undef FAMILY
