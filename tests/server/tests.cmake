# SPDX-License-Identifier: Apache-2.0
r53fwd_test(server snapshot)
r53fwd_test(server prober_alone)
# On a virtual clock, between pretended clients and upstreams (tests/lib/world.h).
r53fwd_test(server prober SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/lib/world.c)
r53fwd_test(server loopcheck SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/lib/world.c)
r53fwd_test(server bindings)
r53fwd_test(server forward SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/lib/world.c)
