#include "telemetry/http_stream.hpp"

#include <array>
#include <string>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace portico::telemetry {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// What a stream's coroutine and the read beside it both hold: the read may end after the coroutine.
struct Watch {
  explicit Watch(std::shared_ptr<Transport> watched)
      : timer(watched->get_executor()), transport(std::move(watched)) {}
  asio::steady_timer timer;  // cancelled: look again
  std::shared_ptr<Transport> transport;
  std::array<char, 512> waste{};
  bool over = false;  // the coroutine's end: nobody is interested any more
  bool gone = false;  // nothing is read any more: the client went, or the read was cancelled
};

// However the coroutine ends, the read beside it does not go on.
class WatchEnd {
 public:
  explicit WatchEnd(Watch& watch) noexcept : watch_(watch) {}
  ~WatchEnd() {
    watch_.over = true;
    error_code ignored;
    watch_.transport->plain().socket().cancel(ignored);
  }
  WatchEnd(const WatchEnd&) = delete;
  WatchEnd& operator=(const WatchEnd&) = delete;

 private:
  Watch& watch_;
};

// A client of a stream has nothing more to say: what it sends is thrown away, its end is what counts.
void watch_client(const std::shared_ptr<Watch>& watch) {
  // For the read alone: the time limit of a write in progress stays.
  watch->transport->plain().expires_never();
  watch->transport->async_read_some(asio::buffer(watch->waste), [watch](error_code error, std::size_t) {
    if (!error && !watch->over) {
      watch_client(watch);
      return;
    }
    watch->gone = true;
    watch->timer.cancel();
  });
}

}  // namespace

asio::awaitable<void> send_stream(std::shared_ptr<Transport> transport, ReplyStream& body,
                                  HttpBounds bounds) {
  const auto watch = std::make_shared<Watch>(transport);
  const WatchEnd end(*watch);
  body.on_ready([watch] { watch->timer.cancel(); });
  watch_client(watch);
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  std::string bytes;
  bool more = true;
  while (more && !watch->gone) {
    bytes.clear();
    more = body.fill(bytes);
    if (more && bytes.empty()) {
      watch->timer.expires_after(bounds.silence);
      co_await watch->timer.async_wait(token);
      if (error) continue;  // woken
      bytes = body.keep_alive();
    }
    transport->plain().expires_after(bounds.answer_time);
    co_await asio::async_write(*transport, asio::buffer(bytes), token);
    if (error) break;
  }
  // The read must not be left to meet the ones of a lingering close.
  watch->over = true;
  transport->plain().socket().cancel(error);
  while (!watch->gone) {
    watch->timer.expires_at(asio::steady_timer::time_point::max());
    co_await watch->timer.async_wait(token);
  }
}

}  // namespace portico::telemetry
