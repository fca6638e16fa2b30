// SPDX-License-Identifier: MIT
//
// A plugin in Rust, without crates: the action `backwards` turns a text around. The structs are those
// of millrace/plugin.h 1.1, field by field; of the host's table only what is called has a type. With
// the toolchain alone this is all:
//
//     rustc --edition 2021 --crate-type cdylib -O -o backwards.so backwards.rs
//
// The host's calls that take a format (trace, fail, format) need a va_list, which stable Rust cannot
// make: the log and a detail of the error say what they would.
use std::ffi::CStr;
use std::os::raw::{c_char, c_void};

const MR_EFAILED: i32 = -18;
const MR_STRING: u32 = 4;
const MR_STDERR: u32 = 2;
const MR_ON_WORKER: u32 = 0;
const MR_IDEMPOTENT: u32 = 1;
const MR_REQUIRED: u32 = 1;

// One that is only passed through, or is not called here.
type Unused = *const c_void;

#[repr(C)]
struct Value {
    kind: u32,
    len: u32,
    text: *const c_char, // the member of the union that a string uses
}

#[repr(C)]
struct Host {
    size: u32,
    abi_minor: u32,
    alloc_format_info: [Unused; 3],
    param: extern "C" fn(*mut Task, *const c_char) -> *const Value,
    var: Unused,
    output: extern "C" fn(*mut Task, *const c_char, *const Value) -> i32,
    output_json_trace: [Unused; 2],
    log: extern "C" fn(*mut Task, u32, *const c_char, usize),
    fail_to_vars: [Unused; 11],
    detail: extern "C" fn(*mut Task, *const c_char, *const Value) -> i32, // since 1.1
}

#[repr(C)]
struct Task {
    host: *const Host,
}

#[repr(C)]
struct Param {
    name: *const c_char,
    kind: u32,
    flags: u32,
    default_json: *const c_char,
    help: *const c_char,
}

#[repr(C)]
struct Action {
    size: u32,
    param_size: u32,
    place: u32,
    flags: u32,
    name: *const c_char,
    help: *const c_char,
    params: *const Param,
    run: extern "C" fn(*mut Task) -> i32,
    cancel: Unused,
    run_before: Unused,
    run_after: Unused,
    retry_before: Unused,
}

#[repr(C)]
pub struct Plugin {
    magic: u32,
    abi_major: u16,
    abi_minor: u16,
    size: u32,
    flags: u32,
    name: *const c_char,
    version: *const c_char,
    actions: *const *const Action,
}

// Raw pointers to constants may be shared between threads.
struct Shared<T>(T);
unsafe impl<T> Sync for Shared<T> {}

macro_rules! text {
    ($text:expr) => {
        concat!($text, "\0").as_ptr() as *const c_char
    };
}

fn turn_around(text: &str) -> String {
    text.chars().rev().collect()
}

fn string_value(text: &str) -> Value {
    Value { kind: MR_STRING, len: text.len() as u32, text: text.as_ptr() as *const c_char }
}

// The host passes a task that lives until the attempt ends, and so do the values that it gives.
fn backwards(task: *mut Task) -> i32 {
    let host = unsafe { &*(*task).host };
    let param = (host.param)(task, text!("text"));
    let given = unsafe { CStr::from_ptr((*param).text) }.to_str().expect("params are UTF-8");
    if given.is_empty() {
        let why = "an empty text has no other end\n";
        (host.log)(task, MR_STDERR, why.as_ptr() as *const c_char, why.len());
        (host.detail)(task, text!("why"), &string_value(why.trim_end()));
        return MR_EFAILED;
    }
    (host.output)(task, text!("text"), &string_value(&turn_around(given)))
}

// A panic must not go on into C.
extern "C" fn run(task: *mut Task) -> i32 {
    std::panic::catch_unwind(|| backwards(task)).unwrap_or(MR_EFAILED)
}

// Since 1.2 a table may end with a self-test; this one is of 1.1, and any host from there on takes it.
static PARAMS: Shared<[Param; 2]> = Shared([
    Param {
        name: text!("text"),
        kind: MR_STRING,
        flags: MR_REQUIRED,
        default_json: std::ptr::null(),
        help: text!("what is turned around"),
    },
    Param { name: std::ptr::null(), kind: 0, flags: 0, default_json: std::ptr::null(), help: std::ptr::null() },
]);

static ACTION: Shared<Action> = Shared(Action {
    size: std::mem::size_of::<Action>() as u32,
    param_size: std::mem::size_of::<Param>() as u32,
    place: MR_ON_WORKER,
    flags: MR_IDEMPOTENT,
    name: text!("backwards"),
    help: text!("turns a text around"),
    params: &PARAMS.0 as *const _ as *const Param,
    run,
    cancel: std::ptr::null(),
    run_before: std::ptr::null(),
    run_after: std::ptr::null(),
    retry_before: std::ptr::null(),
});

static ACTIONS: Shared<[*const Action; 2]> = Shared([&ACTION.0, std::ptr::null()]);

static PLUGIN: Shared<Plugin> = Shared(Plugin {
    magic: 0x4d524143,
    abi_major: 1,
    abi_minor: 1,
    size: std::mem::size_of::<Plugin>() as u32,
    flags: 0,
    name: text!("backwards"),
    version: text!("1.0.0"),
    actions: &ACTIONS.0 as *const _ as *const *const Action,
});

#[no_mangle]
pub extern "C" fn mr_plugin_entry() -> *const Plugin {
    &PLUGIN.0
}
