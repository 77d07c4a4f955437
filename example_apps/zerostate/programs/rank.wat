;; The indices of the values, largest first; of equal values the earlier one is first.
;;
;; The runtime writes the values as f64 at address 0 and calls run(count). A program leaves its answers as f64 behind
;; the values and returns how many they are, or a negative number, which is its exit code with the sign turned.
(module
  (memory (export "memory") 1 16)
  (global (export "fuel_per_value") i32 (i32.const 120))
  (func (export "run") (param $count i32) (result i32)
    (local $one i32) (local $other i32) (local $place i32) (local $value f64) (local $rival f64)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $one) (local.get $count)))
        (local.set $value (f64.load (i32.mul (local.get $one) (i32.const 8))))
        (local.set $place (i32.const 0))
        (local.set $other (i32.const 0))
        (block $placed
          (loop $compare  ;; its place is the number of values that come before it
            (br_if $placed (i32.ge_u (local.get $other) (local.get $count)))
            (local.set $rival (f64.load (i32.mul (local.get $other) (i32.const 8))))
            (local.set $place (i32.add (local.get $place)
              (i32.or
                (f64.gt (local.get $rival) (local.get $value))
                (i32.and
                  (f64.eq (local.get $rival) (local.get $value))
                  (i32.lt_u (local.get $other) (local.get $one))))))
            (local.set $other (i32.add (local.get $other) (i32.const 1)))
            (br $compare)))
        (f64.store
          (i32.mul (i32.add (local.get $count) (local.get $place)) (i32.const 8))
          (f64.convert_i32_u (local.get $one)))
        (local.set $one (i32.add (local.get $one) (i32.const 1)))
        (br $next)))
    (local.get $count)))
