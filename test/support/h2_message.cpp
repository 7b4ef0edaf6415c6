#include "test/support/h2_message.hpp"

#include <utility>

#include "test/support/message.hpp"

namespace portico::test {

std::vector<std::string> all_of(const H2Fields& fields, std::string_view name) {
  std::vector<std::string> out;
  for (const auto& field : fields)
    if (field.name == name) out.push_back(field.value);
  return out;
}

std::string H2Response::one(std::string_view name) const {
  auto found = all(name);
  if (found.size() > 1) throw ProtocolError(std::string(name) + " stands more than once");
  return found.empty() ? std::string() : std::move(found.front());
}

}  // namespace portico::test
