#include "runtime/base/text.h"
#include "runtime/base/utf8.h"

#include <algorithm>
#include <numeric>

namespace nanort {

std::string quote(std::string_view text) {
  constexpr size_t limit = 120;
  static const char hex[] = "0123456789abcdef";
  std::string out = "'";
  for (size_t i = 0; i < text.size();) {
    if (i >= limit)
      return out + "...'";
    const Utf8Step step = nextUtf8(text.substr(i));
    const auto byte = static_cast<unsigned char>(text[i]);
    if (!step.valid || byte < 0x20 || byte == 0x7f) {
      for (size_t j = 0; j < step.size; ++j) {
        const auto bad = static_cast<unsigned char>(text[i + j]);
        out += {'\\', 'x', hex[bad >> 4], hex[bad & 15]};
      }
    } else {
      out += text.substr(i, step.size);
    }
    i += step.size;
  }
  return out + "'";
}

static size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::vector<std::string> nearest(std::string_view name, const std::vector<std::string> &candidates, size_t count) {
  // Names come from files: the distance is quadratic, so only their beginnings are compared.
  constexpr size_t limit = 120;
  std::vector<std::pair<size_t, std::string>> ranked;
  for (const std::string &candidate : candidates)
    ranked.emplace_back(editDistance(name.substr(0, limit), std::string_view(candidate).substr(0, limit)), candidate);
  count = std::min(count, ranked.size());
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(count), ranked.end());
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i)
    names.push_back(ranked[i].second);
  return names;
}

std::string shapeText(const std::vector<uint64_t> &shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + "]";
}

} // namespace nanort
