#include "runtime/base/sha256.h"

#include <sha2.h>

namespace nanort {

Sha256 sha256(std::span<const std::byte> data) {
  SHA2_CTX context;
  Sha256 digest;
  SHA256Init(&context);
  SHA256Update(&context, reinterpret_cast<const uint8_t *>(data.data()), data.size());
  SHA256Final(digest.data(), &context);
  return digest;
}

std::string toHex(const Sha256 &digest) {
  static const char digits[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : digest)
    text += {digits[byte >> 4], digits[byte & 15]};
  return text;
}

} // namespace nanort
