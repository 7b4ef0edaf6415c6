#include "telemetry/failures/tally.hpp"

#include <algorithm>

namespace portico::telemetry {

void Tally::add(std::uint64_t unix_us) {
  add(minutes_, minute_of(unix_us), minute_buckets, 60);
  add(hours_, hour_of(unix_us), hour_buckets, 1);
}

std::uint64_t Tally::count(const WindowBuckets& window) const noexcept {
  std::uint64_t sum = 0;
  for (const Bucket& bucket : window.by_hour ? hours_ : minutes_) {
    if (bucket.number >= window.first) sum += bucket.count;
  }
  return sum;
}

void Tally::add(std::vector<Bucket>& buckets, std::int64_t number, std::int64_t kept, std::int64_t disorder) {
  while (!buckets.empty() && buckets.back().number > number + disorder) buckets.pop_back();
  auto place = buckets.end();
  while (place != buckets.begin() && std::prev(place)->number > number) --place;
  if (place != buckets.begin() && std::prev(place)->number == number) {
    ++std::prev(place)->count;
    return;
  }
  buckets.insert(place, {static_cast<std::int32_t>(number), 1});
  const std::int64_t oldest = buckets.back().number - kept;
  const auto first =
      std::find_if(buckets.begin(), buckets.end(), [&](const Bucket& b) { return b.number > oldest; });
  buckets.erase(buckets.begin(), first);
}

}  // namespace portico::telemetry
