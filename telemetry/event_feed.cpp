#include "telemetry/event_feed.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <utility>

namespace portico::telemetry {
namespace {

constexpr std::size_t piece = 65'536;

}  // namespace

class EventFeed::Subscriber final : public ReplyStream {
 public:
  Subscriber(EventFeed& feed, RecordFilter filter) : feed_(feed), filter_(std::move(filter)) {
    feed_.subscribers_.push_back(this);
  }
  ~Subscriber() override { std::erase(feed_.subscribers_, this); }
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  [[nodiscard]] bool wants(const Record& record, const RecordLabels& labels) const noexcept {
    return filter_.fits(record, labels);
  }

  void add(const std::shared_ptr<const std::string>& event) {
    backlog_.push_back(event);
    bytes_ += event->size();
    // The newest stays, however long it is.
    while (bytes_ > max_backlog_bytes && backlog_.size() > 1) {
      bytes_ -= backlog_.front()->size();
      backlog_.pop_front();
      ++dropped_;
    }
    if (std::exchange(waiting_, false)) wake_();
  }

  bool fill(std::string& out) override {
    if (dropped_ > 0) {
      out += "event: dropped\ndata: {\"count\":" + std::to_string(std::exchange(dropped_, 0)) + "}\n\n";
    }
    while (!backlog_.empty() && out.size() < piece) {
      out += *backlog_.front();
      bytes_ -= backlog_.front()->size();
      backlog_.pop_front();
    }
    waiting_ = out.empty();
    return true;
  }

  [[nodiscard]] std::string_view keep_alive() const noexcept override { return ": still here\n\n"; }

  void on_ready(std::function<void()> wake) override { wake_ = std::move(wake); }

 private:
  EventFeed& feed_;
  RecordFilter filter_;
  std::deque<std::shared_ptr<const std::string>> backlog_;
  std::size_t bytes_ = 0;
  std::uint64_t dropped_ = 0;
  bool waiting_ = false;  // the server found nothing and is to be woken
  std::function<void()> wake_;
};

EventFeed::EventFeed() = default;

EventFeed::~EventFeed() = default;

void EventFeed::take(const Record& record, const std::optional<Verdict>& verdict,
                     const RecordLabels& labels) {
  // Each record has its number, watched or not: a gap in what a subscriber gets is then its filter's or a
  // loss's.
  const std::uint64_t id = next_id_++;
  std::shared_ptr<const std::string> event;
  for (Subscriber* subscriber : subscribers_) {
    if (!subscriber->wants(record, labels)) continue;
    if (!event) {
      std::string text = "event: exchange\nid: " + std::to_string(id) + "\ndata: ";
      append_record_json(text, record, verdict, labels);
      text += "\n\n";
      event = std::make_shared<const std::string>(std::move(text));
    }
    subscriber->add(event);
  }
}

std::unique_ptr<ReplyStream> EventFeed::subscribe(RecordFilter filter) {
  if (subscribers_.size() >= max_subscribers) return nullptr;
  return std::make_unique<Subscriber>(*this, std::move(filter));
}

}  // namespace portico::telemetry
