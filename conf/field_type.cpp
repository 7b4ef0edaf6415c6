#include "conf/field_type.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace portico::conf {
namespace {

constexpr std::size_t max_shown = 48;
constexpr std::string_view hidden = "\"***\"";

struct Unit {
  std::string_view suffix;
  std::uint64_t factor;
};
// Largest first, so that writing takes the largest that divides.
constexpr std::array<Unit, 5> size_units{
    {{"TiB", 1ULL << 40U}, {"GiB", 1ULL << 30U}, {"MiB", 1ULL << 20U}, {"KiB", 1ULL << 10U}, {"", 1}}};
constexpr std::array<Unit, 5> duration_units{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};

std::optional<std::uint64_t> parse_integer(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> parse_with_unit(std::string_view text, std::span<const Unit> units) noexcept {
  const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_integer(text.substr(0, digits));
  const auto unit = std::find_if(units.begin(), units.end(), [&](const Unit& candidate) {
    return candidate.suffix == text.substr(digits);
  });
  if (!number || unit == units.end()) return std::nullopt;
  if (*number > std::numeric_limits<std::uint64_t>::max() / unit->factor) return std::nullopt;
  return *number * unit->factor;
}

std::string text_with_unit(std::uint64_t value, std::span<const Unit> units) {
  const auto unit = std::find_if(units.begin(), units.end() - 1, [&](const Unit& candidate) {
    return value != 0 && value % candidate.factor == 0;
  });
  return fmt::format("{}{}", value / unit->factor, unit->suffix);
}

std::string cut_and_quote(std::string_view text) {
  if (text.size() <= max_shown) return quote_json(text);
  return quote_json(text.substr(0, max_shown)) + "...";
}

/// One written value, out of the file or out of a flag.
struct Scalar {
  std::optional<std::string_view> text;
  std::optional<std::uint64_t> number;
  std::string shown;
};

Scalar scalar_of(const JsonValue& json) {
  Scalar scalar;
  if (const std::string* text = json.string()) scalar.text = *text;
  scalar.number = json.unsigned_integer();
  scalar.shown = shown(json);
  return scalar;
}

Scalar scalar_of(std::string_view text) {
  return {.text = text, .number = parse_integer(text), .shown = shown(text)};
}

/// What was written for a field: itself as one value, and its items if it is a list.
struct Written {
  Scalar whole;
  std::optional<std::vector<Scalar>> items;
};

template <class T>
constexpr std::string_view item_example;
template <>
constexpr std::string_view item_example<ListenAddress> =
    R"(an address such as "0.0.0.0:8080", "[::1]:8080", ":8080" or "unix:/path")";
template <>
constexpr std::string_view item_example<Url> =
    R"(a URL such as "http://127.0.0.1:8317", "https://host" or "unix:/path", without path, query or user)";
template <>
constexpr std::string_view item_example<Network> =
    R"(a network such as "10.0.0.0/8" (no bits set after the prefix), "fd00::/8", "192.0.2.7" or "unix:")";

std::string_view noun_of(const ListType<ListenAddress>&) { return "addresses"; }
std::string_view noun_of(const ListType<Url>&) { return "URLs"; }
std::string_view noun_of(const ListType<Network>&) { return "networks"; }
std::string_view noun_of(const ListType<std::string>& type) { return type.noun; }

std::string quoted_words(std::span<const std::string_view> words) {
  return fmt::format("\"{}\"", fmt::join(words, "\", \""));
}

template <class T>
std::string expected_item(const Scalar& scalar) {
  return fmt::format("expected {}, found {}", item_example<T>, scalar.shown);
}

/// What is wrong with a text; std::nullopt: nothing, and it is one.
std::optional<std::string> text_objection(const TextType& type, const Scalar& scalar) {
  const std::string found = type.secret ? "" : ", found " + scalar.shown;
  if (!scalar.text) return "expected a text in quotes" + found;
  if (scalar.text->size() > type.max)
    return fmt::format("must be at most {} bytes long, found {}", type.max, scalar.text->size());
  if (const std::string_view objection = type.objection(*scalar.text); !objection.empty())
    return std::string(objection) + found;
  return std::nullopt;
}

/// Visits a FieldType with what was written for the field.
class ValueReader {
 public:
  ValueReader(const Written& written, const std::string& path, Findings& findings)
      : written_(written), whole_(written.whole), path_(path), findings_(findings) {}

  std::optional<Value> operator()(const IntegerType& type) const {
    const auto& allowed = type.allowed;
    const bool listed =
        whole_.number && std::find(allowed.begin(), allowed.end(), *whole_.number) != allowed.end();
    if (!allowed.empty() && !listed)
      return wrong(fmt::format("expected one of {}, found {}", fmt::join(allowed, ", "), whole_.shown));
    if (!whole_.number || *whole_.number < type.min || *whole_.number > type.max)
      return wrong(
          fmt::format("expected an integer from {} to {}, found {}", type.min, type.max, whole_.shown));
    return *whole_.number;
  }

  std::optional<Value> operator()(const SizeType& type) const {
    const auto bytes = whole_.text ? parse_size(*whole_.text) : whole_.number;
    if (!bytes) return wrong(fmt::format("expected a size such as \"64KiB\", found {}", whole_.shown));
    if (*bytes < type.min || *bytes > type.max)
      return wrong(fmt::format("expected a size from {} to {}, found {}", size_text(type.min),
                               size_text(type.max), whole_.shown));
    return *bytes;
  }

  std::optional<Value> operator()(const DurationType& type) const {
    const auto duration = whole_.text ? parse_duration(*whole_.text) : std::nullopt;
    if (!duration)
      return wrong(fmt::format(R"(expected a duration such as "15s" or "500ms", found {})", whole_.shown));
    if (*duration < type.min || *duration > type.max)
      return wrong(fmt::format("expected a duration from {} to {}, found {}", duration_text(type.min),
                               duration_text(type.max), whole_.shown));
    return *duration;
  }

  std::optional<Value> operator()(const ChoiceType& type) const {
    const auto word =
        whole_.text ? std::find(type.words.begin(), type.words.end(), *whole_.text) : type.words.end();
    if (word == type.words.end())
      return wrong(fmt::format("expected one of {}, found {}", quoted_words(type.words), whole_.shown));
    return static_cast<std::uint64_t>(word - type.words.begin());
  }

  std::optional<Value> operator()(const TextType& type) const {
    const auto objection = text_objection(type, whole_);
    if (objection) return wrong(*objection);
    return std::string(*whole_.text);
  }

  std::optional<Value> operator()(const AddressType&) const {
    const auto address = whole_.text ? ListenAddress::parse(*whole_.text) : std::nullopt;
    if (!address) return wrong(expected_item<ListenAddress>(whole_));
    return *address;
  }

  template <class T>
  std::optional<Value> operator()(const ListType<T>& type) const {
    if (!written_.items)
      return wrong(fmt::format("expected a list of {}, found {}", noun_of(type), whole_.shown));
    const auto& items = *written_.items;
    if (items.size() < type.min)
      return wrong(fmt::format("expected one or more {}, found an empty list", noun_of(type)));
    if (items.size() > type.max)
      return wrong(fmt::format("expected at most {} {}, found {}", type.max, noun_of(type), items.size()));

    std::vector<T> values;
    bool complete = true;
    for (std::size_t i = 0; i < items.size(); ++i) {
      auto value = read_item(type, items[i], item_path(path_, i));
      complete = complete && value.has_value();
      if (value) values.push_back(std::move(*value));
    }
    if (!complete) return std::nullopt;
    return values;
  }

 private:
  template <class T>
  std::optional<T> read_item(const ListType<T>&, const Scalar& item, const std::string& path) const {
    auto value = item.text ? T::parse(*item.text) : std::nullopt;
    if (!value) findings_.report(path, expected_item<T>(item));
    return value;
  }

  std::optional<std::string> read_item(const ListType<std::string>& type, const Scalar& item,
                                       const std::string& path) const {
    const auto objection = text_objection(type.item, item);
    if (!objection) return std::string(*item.text);
    findings_.report(path, *objection);
    return std::nullopt;
  }

  std::optional<Value> wrong(std::string message) const {
    findings_.report(path_, std::move(message));
    return std::nullopt;
  }

  const Written& written_;
  const Scalar& whole_;
  const std::string& path_;
  Findings& findings_;
};

struct TypeNamer {
  std::string operator()(const IntegerType&) const { return "integer"; }
  std::string operator()(const SizeType&) const { return "size"; }
  std::string operator()(const DurationType&) const { return "duration"; }
  std::string operator()(const ChoiceType& type) const { return "one of " + quoted_words(type.words); }
  std::string operator()(const TextType&) const { return "text"; }
  std::string operator()(const AddressType&) const { return "address"; }
  template <class T>
  std::string operator()(const ListType<T>& type) const {
    return fmt::format("list of {}", noun_of(type));
  }
};

struct BoundsWriter {
  std::string operator()(const IntegerType& type) const {
    if (!type.allowed.empty()) return fmt::format("one of {}", fmt::join(type.allowed, ", "));
    return fmt::format("{} to {}", type.min, type.max);
  }
  std::string operator()(const SizeType& type) const {
    return fmt::format("{} to {}", size_text(type.min), size_text(type.max));
  }
  std::string operator()(const DurationType& type) const {
    return fmt::format("{} to {}", duration_text(type.min), duration_text(type.max));
  }
  std::string operator()(const ChoiceType&) const { return {}; }
  std::string operator()(const TextType& type) const { return fmt::format("at most {} bytes", type.max); }
  std::string operator()(const AddressType&) const { return {}; }
  template <class T>
  std::string operator()(const ListType<T>& type) const {
    return fmt::format("{} to {} of them", type.min, type.max);
  }
  std::string operator()(const ListType<std::string>& type) const {
    return fmt::format("{} to {} of them, each at most {} bytes", type.min, type.max, type.item.max);
  }
};

/// Visits a FieldType and a Value; a pair that does not belong together is written as null, and no field of
/// the schema makes one.
struct ValueWriter {
  std::string operator()(const SizeType&, std::uint64_t value) const { return quote_json(size_text(value)); }
  std::string operator()(const ChoiceType& type, std::uint64_t value) const {
    return quote_json(type.words[value]);
  }
  std::string operator()(const IntegerType&, std::uint64_t value) const { return std::to_string(value); }
  std::string operator()(const DurationType&, Milliseconds value) const {
    return quote_json(duration_text(value));
  }
  std::string operator()(const TextType& type, const std::string& value) const {
    return type.secret && !value.empty() ? std::string(hidden) : quote_json(value);
  }
  std::string operator()(const AddressType&, const ListenAddress& value) const {
    return quote_json(value.text());
  }
  template <class T>
  std::string operator()(const ListType<T>&, const std::vector<T>& values) const {
    std::vector<std::string> items;
    items.reserve(values.size());
    for (const T& value : values) items.push_back(quote_json(value.text()));
    return fmt::format("[{}]", fmt::join(items, ", "));
  }
  std::string operator()(const ListType<std::string>&, const std::vector<std::string>& values) const {
    std::vector<std::string> items;
    items.reserve(values.size());
    for (const std::string& value : values) items.push_back(quote_json(value));
    return fmt::format("[{}]", fmt::join(items, ", "));
  }
  template <class T, class V>
  std::string operator()(const T&, const V&) const {
    return "null";
  }
};

}  // namespace

std::optional<Value> read_json_value(const FieldType& type, const JsonValue& json, const std::string& path,
                                     std::string_view source, Findings& findings) {
  Written written{.whole = scalar_of(json), .items = std::nullopt};
  findings.place(path, {.source = std::string(source), .at = json.at, .name = {}});
  if (const JsonArray* array = json.array()) {
    auto& items = written.items.emplace();
    for (const JsonValue& item : *array) {
      if (is_list(type))
        findings.place(item_path(path, items.size()),
                       {.source = std::string(source), .at = item.at, .name = {}});
      items.push_back(scalar_of(item));
    }
  }
  return std::visit(ValueReader(written, path, findings), type);
}

std::optional<Value> read_text_value(const FieldType& type, std::span<const std::string> texts,
                                     const std::string& path, const Origin& origin, Findings& findings) {
  Written written{.whole = scalar_of(texts.back()), .items = std::nullopt};
  findings.place(path, origin);
  auto& items = written.items.emplace();
  for (const std::string& text : texts) items.push_back(scalar_of(text));
  return std::visit(ValueReader(written, path, findings), type);
}

bool is_list(const FieldType& type) noexcept {
  return std::holds_alternative<ListType<ListenAddress>>(type) ||
         std::holds_alternative<ListType<Url>>(type) || std::holds_alternative<ListType<Network>>(type) ||
         std::holds_alternative<ListType<std::string>>(type);
}

std::string to_json(const FieldType& type, const Value& value) {
  return std::visit(ValueWriter{}, type, value);
}

std::string type_name(const FieldType& type) { return std::visit(TypeNamer{}, type); }

std::string bounds_text(const FieldType& type) { return std::visit(BoundsWriter{}, type); }

std::string shown(std::string_view text) {
  // A URL with a user and password is refused, and the refusal ends up in logs.
  const auto at = text.find('@');
  const auto scheme = text.find("://");
  if (at != std::string_view::npos && scheme < at)
    return cut_and_quote(fmt::format("{}***{}", text.substr(0, scheme + 3), text.substr(text.rfind('@'))));
  return cut_and_quote(text);
}

std::string shown(const JsonValue& json) {
  struct Shower {
    std::string operator()(std::nullptr_t) const { return "null"; }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(std::int64_t value) const { return std::to_string(value); }
    std::string operator()(std::uint64_t value) const { return std::to_string(value); }
    std::string operator()(double value) const { return fmt::format("{}", value); }
    std::string operator()(const std::string& value) const { return shown(std::string_view(value)); }
    std::string operator()(const JsonArray&) const { return "a list"; }
    std::string operator()(const JsonObject&) const { return "an object"; }
  };
  return std::visit(Shower{}, json.data);
}

std::optional<std::uint64_t> parse_size(std::string_view text) noexcept {
  return parse_with_unit(text, size_units);
}

std::optional<Milliseconds> parse_duration(std::string_view text) noexcept {
  const auto count = parse_with_unit(text, duration_units);
  if (!count || *count > static_cast<std::uint64_t>(Milliseconds::max().count())) return std::nullopt;
  return Milliseconds(static_cast<Milliseconds::rep>(*count));
}

std::string size_text(std::uint64_t bytes) { return text_with_unit(bytes, size_units); }

std::string duration_text(Milliseconds duration) {
  return text_with_unit(static_cast<std::uint64_t>(duration.count()), duration_units);
}

}  // namespace portico::conf
