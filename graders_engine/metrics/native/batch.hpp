// Many pairs of texts on several threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#include "values.hpp"

namespace graders {

using Metric = double (*)(Utf8, Utf8, Scratch&);

// One metric on one list of pairs.
class Batch {
  public:
    Batch(Metric metric, const std::vector<Utf8>& answers, const std::vector<Utf8>& references)
        : metric_(metric), answers_(answers), references_(references), values_(answers.size()) {}

    // Fills `values`; std::bad_alloc if memory ran out in any thread.
    void run(std::size_t threads) {
        threads = std::min(threads, bytes() / BYTES_A_THREAD + 1);
        std::vector<std::thread> others;
        others.reserve(threads);
        try {
            while (others.size() + 1 < threads) others.emplace_back(&Batch::work, this);
        } catch (const std::exception&) {
            // No more threads, or no memory for one: those that there are do all of the work.
        }
        work();
        for (std::thread& other : others) other.join();
        if (out_of_memory_) throw std::bad_alloc();
    }

    // In the order of the pairs.
    const std::vector<double>& values() const { return values_; }

  private:
    // Texts of this size take about as long as starting some threads.
    static constexpr std::size_t BYTES_A_THREAD = 50'000;
    // Pairs that a thread takes at a time: few, so that the long ones do not fall to one thread alone.
    static constexpr std::size_t TAKEN = 4;

    std::size_t bytes() const {
        std::size_t sum = 0;
        for (std::size_t i = 0; i < answers_.size(); ++i) sum += answers_[i].size + references_[i].size;
        return sum;
    }

    void work() noexcept {
        try {
            Scratch scratch;
            for (;;) {
                const std::size_t start = next_.fetch_add(TAKEN);
                if (start >= answers_.size()) return;
                const std::size_t end = std::min(start + TAKEN, answers_.size());
                for (std::size_t i = start; i < end; ++i) {
                    values_[i] = metric_(answers_[i], references_[i], scratch);
                    scratch.trim();
                }
            }
        } catch (const std::bad_alloc&) {
            out_of_memory_ = true;
        }
    }

    const Metric metric_;
    const std::vector<Utf8>& answers_;
    const std::vector<Utf8>& references_;
    std::vector<double> values_;
    std::atomic<std::size_t> next_{0};
    std::atomic<bool> out_of_memory_{false};
};

}  // namespace graders
