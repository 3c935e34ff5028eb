// Vectors of MMUPS_BYTES bytes in the compiler's own notation, and the way of sums into storage.
template <class A>
struct Lanes {
  static constexpr int count = MMUPS_BYTES / sizeof(A);
  typedef A vector __attribute__((vector_size(MMUPS_BYTES)));
  typedef A anywhere __attribute__((vector_size(MMUPS_BYTES), aligned(sizeof(A)), may_alias));
};
template <class A>
using Vector = typename Lanes<A>::vector;

template <class A>
inline Vector<A> load(const A* p) {
  return *reinterpret_cast<const typename Lanes<A>::anywhere*>(p);
}
template <class A>
inline void store(A* p, Vector<A> v) {
  *reinterpret_cast<typename Lanes<A>::anywhere*>(p) = v;
}
template <class A>
inline Vector<A> broadcast(A value) {
  return Vector<A>{} + value;
}
template <class A>
inline A sum(Vector<A> v) {
  A total = 0;
  for (int lane = 0; lane < Lanes<A>::count; ++lane) total += v[lane];
  return total;
}

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

struct bf16 {
  uint16_t bits;
};
struct f16 {
  uint16_t bits;
};
inline void put(double* out, double value) { *out = value; }
inline void put(float* out, float value) { *out = value; }
inline void put(bf16* out, float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  bits += 0x7fff + (bits >> 16 & 1);  // to the nearest, ties to even
  out->bits = value == value ? bits >> 16 : 0x7fc0;
}
inline void put(f16* out, float value) {
#ifdef MMUPS_F16C
  out->bits = _cvtss_sh(value, 0);
#else
  out->bits = c10::detail::fp16_ieee_from_fp32_value(value);
#endif
}

// Calls function(T*) with the data of an output in its type.
template <class Function>
inline void with_storage(const Output& out, float, const Function& function) {
  if (out.storage == Storage::f32) function(static_cast<float*>(out.data));
  if (out.storage == Storage::bf16) function(static_cast<bf16*>(out.data));
  if (out.storage == Storage::f16) function(static_cast<f16*>(out.data));
}
template <class Function>
inline void with_storage(const Output& out, double, const Function& function) {
  function(static_cast<double*>(out.data));
}
