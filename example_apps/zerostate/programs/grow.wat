;; It takes a page of 64 KiB for each value; where it gets no more, it ends with exit code 12 (ENOMEM).
(module
  (memory (export "memory") 1)
  (global (export "fuel_per_value") i32 (i32.const 15))
  (func (export "run") (param $count i32) (result i32)
    (local $one i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $one) (local.get $count)))
        (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (return (i32.const -12))))
        (local.set $one (i32.add (local.get $one) (i32.const 1)))
        (br $next)))
    (i32.const 0)))
