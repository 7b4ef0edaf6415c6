#include "proxy/sample/sample.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "proxy/sample/cpa.hpp"
#include "proxy/sample/cpamp.hpp"
#include "proxy/sample/server.hpp"

namespace portico::sample {

conf::ListenAddress loopback(std::uint16_t port) {
  conf::ListenAddress address;
  address.ip = conf::IpAddress::v4(0x7f000001);
  address.port = port;
  return address;
}

struct Sample::Impl {
  explicit Impl(Options given) : options(std::move(given)) { context.models_status = options.models_status; }

  Options options;
  // Coroutines that are still open when the io_context goes away count themselves out here.
  Context context;
  boost::asio::io_context io{1};
  Server cpa{io, context, Backend{serve_cpa, cpa_fields()}};
  Server cpamp{io, context, Backend{serve_cpamp, cpamp_fields()}};
};

Sample::Sample(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Sample::~Sample() = default;

void Sample::start() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  impl_->cpa.listen(impl_->options.cpa_listen);
  impl_->cpamp.listen(impl_->options.cpamp_listen);
}

void Sample::run() { impl_->io.run(); }

void Sample::run_until_signal() {
  boost::asio::signal_set signals(impl_->io, SIGINT, SIGTERM);
  signals.async_wait([this](const boost::system::error_code& error, int) {
    if (!error) impl_->io.stop();
  });
  impl_->io.run();
}

void Sample::stop() { impl_->io.stop(); }

std::string Sample::cpa_address() const { return impl_->cpa.address().text(); }
std::string Sample::cpamp_address() const { return impl_->cpamp.address().text(); }

namespace {

/// 412 or 428 as the environment has it, else `otherwise`.
int models_status_from_environment(int otherwise) {
  const char* text = std::getenv("PORTICO_SAMPLE_MODELS_STATUS");
  if (text == nullptr) return otherwise;
  const std::string_view value = text;
  if (value == "412") return 412;
  if (value == "428") return 428;
  return otherwise;
}

}  // namespace

int run_sample(const Options& options) {
  Options effective = options;
  effective.models_status = models_status_from_environment(options.models_status);
  try {
    Sample sample(effective);
    sample.start();
    fmt::print(
        "SAMPLE backends built into Portico, not the real programs; every response says X-Portico-Sample.\n"
        "  sample CPA    listens on {}\n"
        "  sample CPAMP  listens on {}\n"
        "Model names script the answers: fast, long-200+delay-10, fail-429, cut-mid-stream, stall, ...\n"
        "Ctrl-C ends them.\n",
        sample.cpa_address(), sample.cpamp_address());
    std::fflush(stdout);
    sample.run_until_signal();
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "portico sample: {}\n", error.what());
    return 1;
  }
}

}  // namespace portico::sample
