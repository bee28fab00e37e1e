# Writes the SHA-256 of SCHEMA as a C++ header to OUT.
file(SHA256 ${SCHEMA} digest)
string(REGEX REPLACE "(..)" "0x\\1, " bytes ${digest})
file(WRITE ${OUT} "// SHA-256 of the binary plan schema.\n#pragma once\n#include <cstdint>\n\n"
     "namespace nanort {\ninline constexpr uint8_t planSchemaHash[32] = {${bytes}};\n}\n")
