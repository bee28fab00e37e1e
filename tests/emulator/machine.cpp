#include "tests/emulator/machine.h"

#include "tests/emulator/memory.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <semaphore>
#include <thread>

namespace emulator {

namespace {

thread_local Thread *running;

std::string nameOf(const Thread &thread) {
  return "block " + std::to_string(thread.block.index.x) + ", thread " + std::to_string(thread.index.x);
}

bool isReady(const Thread &thread) { return !thread.fiber.done() && (!thread.holds || thread.holds(thread.condition)); }

void resume(Thread &thread) {
  thread.holds = nullptr;
  running = &thread;
  thread.fiber.resume();
  if (thread.fiber.done())
    --thread.block.live;
}

/// A warp with a thread that can go on runs all of those, up to their next wait. False if there is none.
bool stepBlock(Block &block) {
  Cluster &cluster = block.cluster;
  const unsigned count = static_cast<unsigned>(block.warps.size()), first = cluster.next() % count;
  // The second time round sleepers are woken: nobody else can go on.
  for (int insist = 0; insist < 2; ++insist)
    for (unsigned i = 0; i < count; ++i) {
      const unsigned w = (first + i) % count;
      Warp &warp = block.warps[w];
      if (!insist && warp.asleepUntil > cluster.now)
        continue;
      bool any = false;
      const bool backwards = cluster.chance(1, 2);
      for (unsigned l = 0; l < 32 && !cluster.fault; ++l) {
        Thread &thread = *block.threads[w * 32 + (backwards ? 31 - l : l)];
        if (isReady(thread)) {
          any = true;
          resume(thread);
        }
      }
      if (!any)
        continue;
      ++cluster.now;
      if (cluster.chance(1, 16))
        warp.asleepUntil = cluster.now + (cluster.next() & ((1u << cluster.laziness) - 1));
      return true;
    }
  return false;
}

bool isLater(const Task &a, const Task &b) { return a.due > b.due; }

/// The tasks whose time has come; if `insist`, one or some of those that have not.
bool stepTasks(Cluster &cluster, bool insist) {
  auto act = [&](std::vector<Task> &tasks) {
    const Task task = std::move(tasks.back());
    tasks.pop_back();
    ++cluster.now;
    task.act();
  };
  std::vector<Task> &tasks = cluster.tasks, &postponed = cluster.postponed;
  bool any = false;
  for (; !tasks.empty() && (insist || tasks.front().due <= cluster.now); any = true, insist = false) {
    std::pop_heap(tasks.begin(), tasks.end(), isLater);
    act(tasks);
  }
  if (!insist)
    return any;
  for (size_t left = postponed.empty() ? 0 : 1 + cluster.next() % postponed.size(); left > 0; --left, any = true) {
    std::swap(postponed[cluster.next() % postponed.size()], postponed.back());
    act(postponed);
  }
  return any;
}

/// Who waits where, threads with the same reason together.
std::string waiters(const Cluster &cluster) {
  std::string text;
  for (const auto &block : cluster.blocks) {
    std::map<std::string, std::string> reasons;
    const auto &threads = block->threads;
    for (size_t first = 0, end; first < threads.size(); first = end) {
      auto reasonOf = [&](size_t i) {
        const Thread &t = *threads[i];
        return t.fiber.done() ? std::string() : t.holds ? t.describe(t.reason) : std::string("nothing");
      };
      const std::string reason = reasonOf(first);
      for (end = first + 1; end < threads.size() && reasonOf(end) == reason;)
        ++end;
      if (!reason.empty())
        reasons[reason] += (reasons[reason].empty() ? "" : ", ") + std::to_string(first) +
                           (end - first > 1 ? "-" + std::to_string(end - 1) : "");
    }
    for (const auto &[reason, who] : reasons)
      text += "\n  block " + std::to_string(block->index.x) + ", threads " + who + ": " + reason;
  }
  return text;
}

/// A block of a cluster lives on a thread of the system, for the sake of its __shared__ variables, which are
/// thread_local. Only one of them runs at a time.
class Host {
public:
  Host(Block &block, const Launch &launch) : block(block), launch(launch), system([this] { loop(); }) {}
  ~Host() {
    leaving = true;
    turn.release();
    system.join();
  }
  /// Lets the block go on for some steps; false if no thread of it can.
  bool takeTurn() {
    turn.release();
    over.acquire();
    return progress;
  }

private:
  void loop() {
    turn.acquire();
    if (leaving)
      return;
    attachShared(block);
    for (unsigned i = 0; i < launch.threads; ++i)
      block.threads.push_back(std::make_unique<Thread>(block, i, [this] { body(); }));
    block.live = launch.threads;
    while (!leaving) {
      try {
        progress = steps();
      } catch (...) {
        block.cluster.fault = std::current_exception();
      }
      over.release();
      turn.acquire();
    }
    block.threads.clear();
  }
  bool steps() {
    Cluster &cluster = block.cluster;
    unsigned left = 1 + cluster.next() % 128;
    bool any = false;
    while (block.live > 0 && !cluster.fault && (cluster.blocks.size() == 1 || left-- > 0)) {
      stepTasks(cluster, false);
      if (!stepBlock(block))
        break;
      any = true;
    }
    return any;
  }
  void body() {
    try {
      launch.kernel();
    } catch (...) {
      if (!block.cluster.fault)
        block.cluster.fault = std::current_exception();
    }
  }

  Block &block;
  const Launch &launch;
  bool leaving = false, progress = false;
  std::binary_semaphore turn{0}, over{0};
  std::thread system; // the last: it uses the others
};

void checkEnd(Cluster &cluster) {
  for (const std::vector<Task> *tasks : {&cluster.tasks, &cluster.postponed})
    if (!tasks->empty())
      throw Fault("a block ends while this is under way: " + tasks->front().what);
  for (const auto &block : cluster.blocks) {
    const std::string name = "block " + std::to_string(block->index.x);
    for (size_t id = 1; id < block->named.size(); ++id)
      if (block->named[id].come > 0)
        throw Fault(name + ": " + std::to_string(block->named[id].come) + " arrivals are left on barrier " +
                    std::to_string(id));
    if (cluster.launch.waits && !block->waited)
      throw Fault(name + " has not waited for its producers");
    checkShared(*block);
  }
}

void runCluster(const Launch &launch, unsigned firstBlock, uint64_t seed) {
  Cluster cluster{launch, {}, {}, {}, 0, 0, 0, seed | 1, 0, 0, {}, nullptr};
  for (int i = 0; i < 4; ++i)
    cluster.next();
  cluster.laziness = 2 + cluster.next() % 9;
  cluster.reluctance = std::array{0u, 1u, 4u, 8u}[cluster.next() % 4];
  for (std::span<std::byte> late : launch.late) {
    cluster.lateBytes.emplace_back(late.begin(), late.end());
    std::memset(late.data(), 0xff, late.size());
  }
  std::vector<std::unique_ptr<Host>> hosts;
  for (unsigned rank = 0; rank < launch.cluster; ++rank) {
    cluster.blocks.push_back(std::make_unique<Block>(cluster, rank, firstBlock + rank));
    cluster.blocks.back()->warps.resize(launch.threads / 32);
    cluster.blocks.back()->warpgroups.resize((launch.threads + 127) / 128);
  }
  for (auto &block : cluster.blocks)
    hosts.push_back(std::make_unique<Host>(*block, launch));
  for (auto &host : hosts)
    host->takeTurn();
  for (;;) {
    const size_t first = cluster.next() % hosts.size();
    bool live = false, progress = false;
    for (size_t i = 0; i < hosts.size() && !progress && !cluster.fault; ++i) {
      const size_t rank = (first + i) % hosts.size();
      if (cluster.blocks[rank]->live > 0) {
        live = true;
        progress = hosts[rank]->takeTurn();
      }
    }
    try {
      if (cluster.fault || (!live && cluster.tasks.empty() && cluster.postponed.empty()))
        break;
      if (!live)
        checkEnd(cluster);
      if (!progress && !stepTasks(cluster, true))
        throw Fault("deadlock:" + waiters(cluster));
    } catch (...) {
      cluster.fault = std::current_exception();
      break;
    }
  }
  try {
    if (!cluster.fault)
      checkEnd(cluster);
  } catch (...) {
    cluster.fault = std::current_exception();
  }
  cluster.startProducersEnd();
  hosts.clear();
  if (cluster.fault)
    std::rethrow_exception(cluster.fault);
}

} // namespace

Thread &self() { return *running; }

void fault(const std::string &what) { throw Fault(nameOf(self()) + ": " + what); }

uint32_t Cluster::next() {
  random ^= random << 13;
  random ^= random >> 7;
  random ^= random << 17;
  return static_cast<uint32_t>(random >> 16);
}

void Cluster::later(std::string what, std::function<void()> act) {
  const unsigned most = next() % (laziness + 1); // many soon, some very late
  const uint64_t due = now + (next() & ((1u << most) - 1));
  const bool postpone = chance(reluctance, 8);
  std::vector<Task> &to = postpone ? postponed : tasks;
  to.push_back({due, std::move(what), std::move(act)});
  if (!postpone)
    std::push_heap(to.begin(), to.end(), isLater);
}

void Cluster::startProducersEnd() {
  for (size_t i = 0; i < lateBytes.size(); ++i)
    std::memcpy(launch.late[i].data(), lateBytes[i].data(), lateBytes[i].size());
  lateBytes.clear();
}

void pause() {
  Thread &thread = self();
  if (thread.block.cluster.chance(1, 8))
    thread.fiber.suspend();
}

void waitRaw(const void *condition, bool (*holds)(const void *), const void *reason,
             std::string (*describe)(const void *)) {
  Thread &thread = self();
  thread.condition = condition;
  thread.holds = holds;
  thread.reason = reason;
  thread.describe = describe;
  thread.fiber.suspend();
}

const WarpValues &exchange(const char *operation, std::initializer_list<unsigned> words) {
  const unsigned thread = self().index.x;
  Warp &warp = self().block.warps[thread / 32];
  if (warp.come == 0)
    warp.operation = operation;
  else if (std::strcmp(warp.operation, operation) != 0)
    fault(std::string("the lane is at ") + operation + ", others of its warp are at " + warp.operation);
  WarpValues &values = warp.values[warp.generation % 2];
  std::copy(words.begin(), words.end(), values[thread % 32]);
  if (++warp.come == 32) {
    warp.come = 0;
    ++warp.generation;
  } else {
    waitUntil([&warp, mine = warp.generation] { return warp.generation != mine; },
              [&] { return std::string(operation) + ", " + std::to_string(warp.come) + " of 32 lanes are there"; });
  }
  return values;
}

void namedBarrier(unsigned id, unsigned threads, bool wait) {
  pause();
  if (id > 15)
    fault("there is no barrier " + std::to_string(id));
  NamedBarrier &barrier = self().block.named[id];
  if (barrier.come == 0)
    barrier.expected = threads;
  else if (barrier.expected != threads)
    fault("barrier " + std::to_string(id) + " is for " + std::to_string(threads) + " threads here, for " +
          std::to_string(barrier.expected) + " elsewhere");
  const uint64_t mine = barrier.generation;
  if (++barrier.come == threads) {
    barrier.come = 0;
    ++barrier.generation;
  } else if (wait) {
    waitUntil([&] { return barrier.generation != mine; },
              [&] {
                return "barrier " + std::to_string(id) + ", " + std::to_string(barrier.come) + " of " +
                       std::to_string(threads) + " threads are there";
              });
  }
}

void arriveAtCluster() {
  pause();
  Thread &thread = self();
  Cluster &cluster = thread.block.cluster;
  if (thread.arrivedAtCluster)
    fault("arrives at the cluster's barrier twice");
  thread.arrivedAtCluster = true;
  thread.clusterPhase = cluster.phase;
  if (++cluster.arrived == cluster.launch.cluster * cluster.launch.threads) {
    cluster.arrived = 0;
    ++cluster.phase;
  }
}

void waitForCluster() {
  Thread &thread = self();
  Cluster &cluster = thread.block.cluster;
  if (!thread.arrivedAtCluster)
    fault("waits at the cluster's barrier without having arrived");
  waitUntil([&] { return cluster.phase != thread.clusterPhase; },
            [&] { return "the cluster's barrier, " + std::to_string(cluster.arrived) + " threads are there"; });
  thread.arrivedAtCluster = false;
}

void waitForProducers() {
  pause();
  self().block.waited = true;
  self().block.cluster.startProducersEnd();
}

void run(const Launch &launch, uint64_t seed) {
  std::vector<unsigned> order(launch.blocks / launch.cluster);
  if (launch.blocks % launch.cluster != 0 || launch.threads % 32 != 0)
    throw Fault("blocks are whole warps, grids whole clusters");
  std::iota(order.begin(), order.end(), 0u);
  uint64_t word = seed * 0x9e3779b97f4a7c15ull + 0x632be59bd9b4e019ull;
  auto next = [&] { return word = word * 6364136223846793005ull + 1442695040888963407ull; };
  for (size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[(next() >> 33) % i]);
  for (unsigned cluster : order)
    runCluster(launch, cluster * launch.cluster, next());
}

} // namespace emulator
