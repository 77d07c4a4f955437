;; It never ends by itself: the fuel that it was given does it.
(module
  (memory (export "memory") 1 16)
  (global (export "fuel_per_value") i32 (i32.const 1))
  (func (export "run") (param $count i32) (result i32)
    (loop $again (br $again))
    (i32.const 0)))
