#pragma once
// A map by name that never grows beyond its bound: what was not seen for longest goes first, and what never
// succeeded goes before what did, so that names which somebody makes up can't displace the real ones.
//
// owns:    names and values
// threads: one
// bytes:   names are copied when they are new

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace portico::telemetry {

/// Value has `std::uint64_t last_seen_us` and `std::uint64_t last_success_us`.
template <class Value>
class BoundedMap {
 public:
  explicit BoundedMap(std::size_t bound) : bound_(bound) {}

  /// The value of the name, new if need be.
  Value& at(std::string_view name, std::uint64_t now_us) {
    auto found = values_.find(name);
    if (found == values_.end()) {
      if (values_.size() >= bound_) shrink();
      found = values_.emplace(std::string(name), Value{}).first;
    }
    found->second.last_seen_us = std::max(found->second.last_seen_us, now_us);
    return found->second;
  }
  /// Null where the name is not known.
  [[nodiscard]] const Value* find(std::string_view name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] std::size_t size() const noexcept { return values_.size(); }
  [[nodiscard]] auto begin() const { return values_.begin(); }
  [[nodiscard]] auto end() const { return values_.end(); }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const noexcept {
      return std::hash<std::string_view>{}(name);
    }
  };
  using Values = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;

  // An eighth at once, so that a flood of new names costs little for each.
  void shrink() {
    std::vector<typename Values::iterator> order;
    order.reserve(values_.size());
    for (auto i = values_.begin(); i != values_.end(); ++i) order.push_back(i);
    const auto leaving = static_cast<std::ptrdiff_t>(order.size() / 8 + 1);
    const auto rank = [](const auto& i) {
      return std::pair(i->second.last_success_us != 0, i->second.last_seen_us);
    };
    std::nth_element(order.begin(), order.begin() + leaving - 1, order.end(),
                     [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    std::for_each(order.begin(), order.begin() + leaving, [&](const auto& i) { values_.erase(i); });
  }

  std::size_t bound_;
  Values values_;
};

}  // namespace portico::telemetry
