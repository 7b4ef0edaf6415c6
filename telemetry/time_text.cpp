#include "telemetry/time_text.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <string_view>

namespace portico::telemetry {
namespace {

using Milliseconds = std::chrono::sys_time<std::chrono::milliseconds>;

Milliseconds cut(std::chrono::system_clock::time_point moment) noexcept {
  return std::chrono::floor<std::chrono::milliseconds>(moment);
}

struct Parts {
  explicit Parts(Milliseconds moment) noexcept
      : day(std::chrono::floor<std::chrono::days>(moment)), date(day), time(moment - day) {}

  std::chrono::sys_days day;
  std::chrono::year_month_day date;
  std::chrono::hh_mm_ss<std::chrono::milliseconds> time;
};

void put(Rfc3339Text& out, std::size_t at, std::size_t width, long value) noexcept {
  for (std::size_t i = width; i-- > 0; value /= 10) out[at + i] = static_cast<char>('0' + value % 10);
}

Rfc3339Text text_of(const Parts& parts) noexcept {
  Rfc3339Text out{'0', '0', '0', '0', '-', '0', '0', '-', '0', '0', 'T', '0',
                  '0', ':', '0', '0', ':', '0', '0', '.', '0', '0', '0', 'Z'};
  put(out, 0, 4, static_cast<int>(parts.date.year()));
  put(out, 5, 2, static_cast<long>(static_cast<unsigned>(parts.date.month())));
  put(out, 8, 2, static_cast<long>(static_cast<unsigned>(parts.date.day())));
  put(out, 11, 2, parts.time.hours().count());
  put(out, 14, 2, parts.time.minutes().count());
  put(out, 17, 2, parts.time.seconds().count());
  put(out, 20, 3, parts.time.subseconds().count());
  return out;
}

}  // namespace

Rfc3339Text rfc3339_text(std::chrono::system_clock::time_point moment) noexcept {
  return text_of(Parts(cut(moment)));
}

std::string rfc3339(std::chrono::system_clock::time_point moment) {
  const Rfc3339Text text = rfc3339_text(moment);
  return {text.data(), text.size()};
}

std::string rfc3339(std::chrono::sys_seconds moment) {
  const Rfc3339Text text = text_of(Parts(moment));
  return {text.data(), text.size()};
}

std::string http_date(std::chrono::system_clock::time_point moment) {
  static constexpr std::array<std::string_view, 7> weekdays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const Parts parts(cut(moment));
  return fmt::format(
      "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", weekdays[std::chrono::weekday(parts.day).c_encoding()],
      static_cast<unsigned>(parts.date.day()), months[static_cast<unsigned>(parts.date.month()) - 1],
      static_cast<int>(parts.date.year()), parts.time.hours().count(), parts.time.minutes().count(),
      parts.time.seconds().count());
}

}  // namespace portico::telemetry
