// Arrays that are used for one pair of texts after another: a short text costs no allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>

namespace graders {

template <typename Item>
class Array {
    static_assert(std::is_trivially_copyable_v<Item>);

  public:
    Array() = default;
    Array(const Array&) = delete;
    Array& operator=(const Array&) = delete;
    ~Array() { std::free(items_); }

    // Room for so many items. They have no defined value, and what was there before is lost.
    Item* room(std::size_t count) {
        if (count > capacity_) {
            release();
            resize(count);
        }
        return items_;
    }

    // The same, but every byte is 0.
    Item* zeros(std::size_t count) {
        room(count);
        if (count) std::memset(static_cast<void*>(items_), 0, count * sizeof(Item));
        return items_;
    }

    // Room for so many items. Those that were there before keep their values.
    Item* extend(std::size_t count) {
        if (count > capacity_) resize(count > 2 * capacity_ ? count : 2 * capacity_);
        return items_;
    }

    Item* items() { return items_; }
    const Item* items() const { return items_; }
    std::size_t bytes() const { return capacity_ * sizeof(Item); }

    void release() {
        std::free(items_);
        items_ = nullptr;
        capacity_ = 0;
    }

  private:
    void resize(std::size_t count) {
        if (count > PTRDIFF_MAX / sizeof(Item)) throw std::bad_alloc();
        void* grown = std::realloc(static_cast<void*>(items_), count * sizeof(Item));
        if (!grown) throw std::bad_alloc();
        items_ = static_cast<Item*>(grown);
        capacity_ = count;
    }

    Item* items_ = nullptr;
    std::size_t capacity_ = 0;
};

}  // namespace graders
