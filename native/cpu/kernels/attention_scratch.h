// Memory of the threads of one attention call, taken from the kernel's scratch before they start.
#pragma once
#include "core/device.h"
#include "core/parallel.h"
#include "cpu/kernels/attention_block.h"

namespace callgrad::cpu::CG_ISA {

// A tile of rows on its way through the keys, as one thread holds it.
template <class M>
struct TileMemory {
  typename M::Unit* q;  // [rows][dim / step]
  int* visible;         // [rows]
  RowState state;
  BlockScratch<M> block;
};

template <class M>
class TileScratch {
  using Unit = typename M::Unit;

 public:
  TileScratch(Scratch& scratch, int rows, const HeadShape& shape) : rows_(rows), shape_(shape) {
    const size_t bytes = size_t(carve(nullptr, nullptr));
    stride_ = (bytes + 4095) / 4096 * 4096 + 64;  // threads' tiles start in different cache sets
    base_ = scratch.get<char>(stride_ * size_t(threadCount()));
  }
  TileMemory<M> of(int thread) const {
    TileMemory<M> m;
    carve(base_ + stride_ * size_t(thread), &m);
    return m;
  }

 private:
  // Cuts one thread's memory into its parts and returns its size.
  int64_t carve(char* base, TileMemory<M>* m) const {
    int64_t at = 0;
    auto take = [&](auto** to, int64_t count) {
      using Item = std::remove_pointer_t<std::remove_pointer_t<decltype(to)>>;
      if (base) *to = reinterpret_cast<Item*>(base + at);
      at += (count * int64_t(sizeof(Item)) + 63) / 64 * 64;
    };
    TileMemory<M> none;
    TileMemory<M>& t = m ? *m : none;
    take(&t.q, int64_t(rows_) * (shape_.dim / M::kStep));
    take(&t.visible, rows_);
    take(&t.state.top, rows_ + kLanes);
    take(&t.state.sum, int64_t(rows_) * kLanes);
    take(&t.state.out, int64_t(rows_) * shape_.padded);
    take(&t.block.scores, int64_t(rows_) * kKeyBlock);
    take(&t.block.weights, int64_t(rows_) * kKeyBlock / M::kStep);
    take(&t.block.factors, rows_ + kLanes);
    take(&t.block.bases, rows_ + kLanes);
    take(&t.block.guarded, alongUnits<M>(shape_));
    return at;
  }

  int rows_;
  HeadShape shape_;
  size_t stride_;
  char* base_;
};

}  // namespace callgrad::cpu::CG_ISA
