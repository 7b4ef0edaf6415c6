#include "conf/problem.hpp"

#include <fmt/format.h>

namespace portico::conf {

std::string Problem::text() const {
  std::string out = source;
  if (line != 0) out += fmt::format(":{}:{}", line, column);
  if (!out.empty()) out += ": ";
  if (!field.empty()) out += field + ": ";
  return out + message;
}

}  // namespace portico::conf
