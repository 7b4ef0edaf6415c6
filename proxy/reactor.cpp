#include "proxy/reactor.hpp"

#include "proxy/stream.hpp"

namespace portico::proxy {

namespace asio_detail = boost::asio::detail;

Reactor::Reactor(boost::asio::io_context& io)
    : context(io),
      wheel(io),
      impl_(boost::asio::use_service<asio_detail::epoll_reactor>(io)),
      probe_timer_(
          wheel, [](void* self) { static_cast<Reactor*>(self)->probe(); }, this) {
  impl_.init_task();
}

int Reactor::add(int fd, Descriptor& descriptor) noexcept {
  return impl_.register_descriptor(fd, descriptor);
}

void Reactor::remove(int fd, Descriptor& descriptor) noexcept {
  impl_.deregister_descriptor(fd, descriptor, true);
  impl_.cleanup_descriptor_data(descriptor);
}

void Reactor::probe_later(Input& input) noexcept {
  if (input.is_linked()) return;
  if (fresh_.empty() && due_.empty()) probe_timer_.set(wheel.in(TimerWheel::tick));
  fresh_.push_back(input);
}

void Reactor::probe() noexcept {
  while (!due_.empty()) {
    auto& input = static_cast<Input&>(due_.front());
    due_.pop_front();
    input.probe();
  }
  due_.swap(fresh_);
  for (ProbeLink& link : due_) static_cast<Input&>(link).mark_probe();
  if (!due_.empty()) probe_timer_.set(wheel.in(TimerWheel::tick));
}

Readiness::Readiness(Direction direction, Done on_done, void* owner) noexcept
    : reactor_op(boost::system::error_code(), &Readiness::on_perform, &Readiness::on_complete),
      done_(on_done),
      owner_(owner),
      direction_(direction) {
  cancellation_key_ = this;
}

namespace {
int op_type(Direction direction) noexcept {
  return direction == Direction::read ? asio_detail::epoll_reactor::read_op
                                      : asio_detail::epoll_reactor::write_op;
}
}  // namespace

void Readiness::arm(Reactor& reactor, int fd, Reactor::Descriptor& descriptor, bool drained) noexcept {
  ec_ = boost::system::error_code();
  armed_ = true;
  // start_op asks on_perform at once when the reactor thinks that the descriptor may be ready.
  skip_ = drained;
  reactor.impl_.start_op(op_type(direction_), fd, descriptor, this, false, true);
  skip_ = false;
}

void Readiness::cancel(Reactor& reactor, int fd, Reactor::Descriptor& descriptor) noexcept {
  if (armed_) reactor.impl_.cancel_ops_by_key(fd, descriptor, op_type(direction_), this);
}

asio_detail::reactor_op::status Readiness::on_perform(reactor_op* base) {
  // "Exhausted" tells the reactor not to assume readiness again before the next edge: the owner reads or
  // writes until it knows that nothing is left.
  return static_cast<Readiness*>(base)->skip_ ? not_done : done_and_exhausted;
}

void Readiness::on_complete(void* owner, asio_detail::operation* base, const boost::system::error_code&,
                            std::size_t) {
  auto* self = static_cast<Readiness*>(base);
  self->armed_ = false;
  if (owner == nullptr) return;  // the io_context is being destroyed
  self->done_(self->owner_, static_cast<bool>(self->ec_));
}

}  // namespace portico::proxy
