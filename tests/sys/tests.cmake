# SPDX-License-Identifier: Apache-2.0
r53fwd_test(sys cpus)
r53fwd_test(sys notify)
r53fwd_test(sys privilege)
r53fwd_test(sys landlock)
r53fwd_test(sys sandbox)
r53fwd_test(sys child)
r53fwd_test(sys passed)
r53fwd_test(sys signals)
