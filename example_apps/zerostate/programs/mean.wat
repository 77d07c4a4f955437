;; The mean of the values; it traps where there are none.
(module
  (memory (export "memory") 1 16)
  (global (export "fuel_per_value") i32 (i32.const 20))
  (func (export "run") (param $count i32) (result i32)
    (local $one i32) (local $sum f64)
    (if (i32.eqz (local.get $count)) (then unreachable))
    (loop $next
      (local.set $sum (f64.add (local.get $sum) (f64.load (i32.mul (local.get $one) (i32.const 8)))))
      (local.set $one (i32.add (local.get $one) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $one) (local.get $count))))
    (f64.store
      (i32.mul (local.get $count) (i32.const 8))
      (f64.div (local.get $sum) (f64.convert_i32_u (local.get $count))))
    (i32.const 1)))
